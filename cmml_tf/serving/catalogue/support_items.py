"""The items that a support names, as `recommend` takes them."""

from typing import NamedTuple

import tensorflow as tf

from cmml_tf.layers.matching.support_groups import SupportGroups


class SupportItems(NamedTuple):
    """Items of support pairs, [B, S] each.

    Attributes:
      item_id: Ids.
      key: int64, what the score takes for them: a row of the catalogue where they are known.
      known: bool, whether the catalogue has them.
      read: bool, pairs that count.
      taken: bool, pairs that say that the asked user is not to be recommended the item.
    """

    item_id: tf.Tensor
    key: tf.Tensor
    known: tf.Tensor
    read: tf.Tensor
    taken: tf.Tensor

    def rows(self, which: tf.Tensor, unknown: int) -> tf.Tensor:
        """Rows of the catalogue int64 [B, S] where `which` holds, else `unknown`."""
        return tf.where(which & self.known, self.key, tf.constant(unknown, tf.int64))

    def offered(self, nothing: tf.Tensor) -> tf.Tensor:
        """bool [B, S]: one pair of each item that may be recommended.

        Args:
          nothing: The id of no item, which nobody could tell from an answer without one.
        """
        named = self.read & (self.item_id != nothing)
        return named & SupportGroups(self.key).first(barred=self.taken)


class Beside(NamedTuple):
    """Items of support pairs that are ranked beside those of the catalogue, [B, S] each.

    Attributes:
      item_id, key: As of `SupportItems`.
      offered: bool, whether a pair's item is one of them.
    """

    item_id: tf.Tensor
    key: tf.Tensor
    offered: tf.Tensor
