"""What the pairs of a support say of the very items and users that a query names."""

from typing import Protocol

import tensorflow as tf

from cmml_tf.layers.matching.keys import matches
from cmml_tf.layers.matching.match_context import MatchContext
from cmml_tf.layers.matching.query_pairs import beside, by_task, summed_products
from cmml_tf.layers.matching.support_groups import SupportGroups


class Matched(Protocol):
    """Sums over support pairs that have a query's item or user. N is Q, or 1 for one user."""

    def of_items(self, values: tf.Tensor) -> tf.Tensor:
        """Over the pairs of each item: float32 [B, S, c] -> [B, Q, c]."""

    def of_users(self, values: tf.Tensor) -> tf.Tensor:
        """Over the pairs of each user: float32 [B, S, c] -> [B, N, c]."""

    def on_item(self, values: tf.Tensor) -> tf.Tensor:
        """Over the pairs of each item, of values for the user: float32 [B, N, S] -> [B, Q]."""

    def taken_by_user(self) -> tf.Tensor:
        """The user's own clicks on the item: float32 [B, Q]."""


class MatchedPairs:
    """Of pairs of any users and items: each is compared with each support pair.

    Args:
      context: Of B tasks.
      user, item: Keys int64 [B, Q], or keys that broadcast to pairs (`query_pairs`).
    """

    def __init__(self, context: MatchContext, user: tf.Tensor, item: tf.Tensor) -> None:
        self._same_item = matches(item, context.item_key)  # [B, Q, S]
        self._same_user = matches(user, context.user_key)
        self._own = self._same_user * beside(context.positive, self._same_user)

    def of_items(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return by_task(self._same_item, values)

    def of_users(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return by_task(self._same_user, values)

    def on_item(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return summed_products(values, self._same_item)

    def taken_by_user(self) -> tf.Tensor:
        """As of `Matched`."""
        return self.on_item(self._own)


class MatchedUser:
    """Of many items and one user a task: support pairs are summed by item once, then looked up.

    Args:
      context: Of B tasks.
      user: Keys int64 [B].
      item: Keys int64 [B, Q].
    """

    def __init__(self, context: MatchContext, user: tf.Tensor, item: tf.Tensor) -> None:
        self._groups = SupportGroups(context.item_key)
        self._item = item
        self._same_user = matches(user[:, None], context.user_key)  # [B, 1, S]
        self._own = self._same_user * context.positive[:, None]

    def of_items(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return self._groups.sums_of(self._item, values)

    def of_users(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.matmul(self._same_user, values)

    def on_item(self, values: tf.Tensor) -> tf.Tensor:
        """As of `Matched`."""
        return tf.squeeze(self.of_items(tf.transpose(values, [0, 2, 1])), axis=-1)

    def taken_by_user(self) -> tf.Tensor:
        """As of `Matched`."""
        return self.on_item(self._own)
