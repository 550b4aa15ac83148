"""How likely an item of the catalogue belongs to the scenario whose support it is not in.

Where each item i lies, z_i in R^K, is a table. Items of a scenario lie around its center, normal
with variance 1 in each direction, and centers around 0 with variances e. Of m items that a support
names, taken or refused, the center is expected at

  c = e sum_(named) z / (1 + e m),

and an item that it does not name belongs to the scenario with probability 1 / (1 + exp(-l_i)),

  l_i = level + slope (<z_i, c> - |c|^2 / 2) + of_clicks log(1 + n)

for n clicks: what many clicks did not name rather lies outside. An item that is named belongs.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cmml_tf.layers.matching.support_groups import SupportGroups


class Belonging(NamedTuple):
    """What supports say of their scenarios.

    Attributes:
      center: float32 [B, K], c.
      level: float32 [B, 1], what l is made of that is alike for all items.
      named: int64 [B, S], a row of the catalogue; I for one that it does not have, for padding, and
        for all but one pair of an item.
    """

    center: tf.Tensor
    level: tf.Tensor
    named: tf.Tensor


@dataclass(frozen=True, eq=False)
class Membership:
    """What tells items of a scenario from the rest of a catalogue.

    Attributes:
      places: float32 [I, K], z.
      ratios: float [K], e.
      numbers: float [3], level, slope and of_clicks.
    """

    places: np.ndarray
    ratios: np.ndarray
    numbers: np.ndarray


class MembershipReader(tf.Module):
    """Supports, and items of the catalogue, to logarithms of probabilities.

    Args:
      membership: Of the I items.
    """

    def __init__(self, membership: Membership) -> None:
        super().__init__()
        self.items = len(membership.places)
        # Behind all stands the place of no item.
        table = np.pad(np.asarray(membership.places, np.float32), [(0, 1), (0, 0)])
        self.places = tf.Variable(table, trainable=False)
        self._ratios = tf.constant(membership.ratios, tf.float32)
        self._level, self._slope, self._of_clicks = (float(one) for one in membership.numbers)

    def of_support(self, key: tf.Tensor, label: tf.Tensor, length: tf.Tensor) -> Belonging:
        """Support pairs of B tasks to what they say of the scenario.

        Args:
          key: int64 [B, S], rows of the catalogue or, for other items, any other number.
          label: float32 [B, S], above 0 for clicks.
          length: int32 [B], pairs that count.
        """
        read = tf.sequence_mask(length, tf.shape(label)[1])
        elsewhere = ~read | (key < 0) | (key >= self.items)
        named = tf.where(elsewhere, tf.constant(self.items, tf.int64), key)
        first = SupportGroups(named).first(barred=elsewhere)
        named = tf.where(first, named, tf.constant(self.items, tf.int64))
        number = tf.reduce_sum(tf.cast(first, tf.float32), axis=1, keepdims=True)
        total = tf.reduce_sum(tf.gather(self.places, named), axis=1)
        center = self._ratios * total / (1.0 + self._ratios * number)
        clicks = tf.reduce_sum(tf.cast(read & (label > 0.0), tf.float32), axis=1, keepdims=True)
        level = self._level + self._of_clicks * tf.math.log1p(clicks)
        level -= 0.5 * self._slope * tf.reduce_sum(tf.square(center), axis=1, keepdims=True)
        return Belonging(center, level, named)

    def unnamed(self, belonging: Belonging, rows: tf.Tensor) -> tf.Tensor:
        """Of items that no pair names: rows int64 [B, N], or [1, N] for all -> float32 [B, N]."""
        near = tf.matmul(tf.gather(self.places, rows), belonging.center[..., None])
        return self._logarithm(tf.squeeze(near, axis=-1), belonging)

    def of_catalogue(self, belonging: Belonging) -> tf.Tensor:
        """Of all items: float32 [B, I + 1], 0 for those that a pair names; the last is of none."""
        near = tf.matmul(belonging.center, self.places, transpose_b=True)
        found = self._logarithm(near, belonging)
        B, S = tf.unstack(tf.shape(belonging.named, tf.int64))
        task = tf.repeat(tf.range(B)[:, None], S, axis=1)
        index = tf.stack([task, belonging.named], axis=-1)
        return tf.tensor_scatter_nd_update(found, index, tf.zeros([B, S]))

    def _logarithm(self, near: tf.Tensor, belonging: Belonging) -> tf.Tensor:
        return tf.math.log_sigmoid(belonging.level + self._slope * near)
