"""Sums over support pairs of the same item, in each task."""

import tensorflow as tf

_ONE_MORE = [[0, 0], [0, 1], [0, 0]]


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
        group = tf.gather(rank, place, batch_dims=1)  # [B, S], below S
        self._order, self._ordered = order, ordered
        shape = tf.shape(key)
        self._count = shape[0] * shape[1]
        self._group = group + tf.range(shape[0])[:, None] * shape[1]

    def sums(self, values: tf.Tensor) -> tf.Tensor:
        """float32 [B, S, ...] -> for each pair the sum over its group, of the same shape."""
        flat = tf.reshape(self._group, [-1])
        merged = tf.reshape(values, tf.concat([[self._count], tf.shape(values)[2:]], axis=0))
        return tf.gather(tf.math.unsorted_segment_sum(merged, flat, self._count), self._group)

    def sums_of(self, key: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """Sums over the pairs with each key, zeros where there are none.

        Args:
          key: int64 [B, Q].
          values: float32 [B, S, c].

        Returns:
          float32 [B, Q, c].
        """
        # One more of each, behind all: what is not found is there.
        ordered = tf.pad(self._ordered, [[0, 0], [0, 1]], constant_values=key.dtype.max)
        sums = tf.pad(tf.gather(self.sums(values), self._order, batch_dims=1), _ONE_MORE)
        place = tf.searchsorted(ordered, key)
        same = tf.gather(ordered, place, batch_dims=1) == key
        found = tf.where(same, place, tf.shape(sums)[1] - 1)
        return tf.gather(sums, found, batch_dims=1)
