"""Sums over support pairs of the same item, in each task."""

import tensorflow as tf


class SupportGroups:
    """Support pairs of B tasks, grouped by key.

    By sorting: a matrix of S x S would be large where the support is.

    Args:
      key: int64 [B, S].

    Attributes:
      first: bool [B, S], the first pair of each group.
    """

    def __init__(self, key: tf.Tensor) -> None:
        order = tf.argsort(key, axis=1, stable=True)
        ordered = tf.gather(key, order, batch_dims=1)
        begins = tf.pad(ordered[:, 1:] != ordered[:, :-1], [[0, 0], [1, 0]], constant_values=True)
        begins = begins[:, : tf.shape(key)[1]]
        rank = tf.cumsum(tf.cast(begins, tf.int32), axis=1) - 1
        place = tf.argsort(order, axis=1)
        self.first = tf.gather(begins, place, batch_dims=1)
        self._group = tf.gather(rank, place, batch_dims=1)  # [B, S], below S
        self._ordered, self._rank = ordered, rank

    def group_sums(self, values: tf.Tensor) -> tf.Tensor:
        """The sum over each group, zeros behind them: float32 [B, S, ...] -> [B, S + 1, ...]."""
        shape = tf.shape(values)
        groups = shape[1] + 1
        rows = self._group + tf.range(shape[0])[:, None] * groups
        flat = tf.reshape(values, tf.concat([[shape[0] * shape[1]], shape[2:]], axis=0))
        sums = tf.math.unsorted_segment_sum(flat, tf.reshape(rows, [-1]), shape[0] * groups)
        return tf.reshape(sums, tf.concat([shape[:1], [groups], shape[2:]], axis=0))

    def group_of(self, key: tf.Tensor) -> tf.Tensor:
        """Which of the sums is that of keys, S where no pair has it: int64 -> int32 [B, Q]."""
        last = tf.shape(self._rank)[1]
        behind = [[0, 0], [0, 1]]
        ordered = tf.pad(self._ordered, behind, constant_values=key.dtype.max)
        rank = tf.pad(self._rank, behind, constant_values=last)
        place = tf.searchsorted(ordered, key)
        same = tf.gather(ordered, place, batch_dims=1) == key
        return tf.where(same, tf.gather(rank, place, batch_dims=1), last)

    def sums(self, values: tf.Tensor) -> tf.Tensor:
        """float32 [B, S, ...] -> for each pair the sum over its group, of the same shape."""
        return tf.gather(self.group_sums(values), self._group, batch_dims=1)
