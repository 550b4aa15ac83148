"""Sums over support pairs of the same item, in each task."""

import tensorflow as tf


class SupportGroups:
    """Support pairs of B tasks, grouped by key.

    By a hash table: a matrix of S x S would be large where the support is.

    Args:
      key: int64 [B, S].
      asked: Keys int64 [B, Q] whose groups are asked for; those of no support pair are groups too.

    Attributes:
      group: int32 [B, S], which group a pair is of; groups of all tasks are counted together.
      group_asked: int32 [B, Q], the same of the keys that are asked for.
    """

    def __init__(self, key: tf.Tensor, asked: tf.Tensor | None = None) -> None:
        keys = key if asked is None else tf.concat([key, asked], axis=1)
        shape = tf.shape(keys, tf.int64)
        # One key in two tasks is two groups. First keys become small numbers.
        number = tf.raw_ops.Unique(x=tf.reshape(keys, [-1]), out_idx=tf.int64).idx
        number = tf.reshape(number, shape) + tf.size(keys, tf.int64) * tf.range(shape[0])[:, None]
        groups = tf.raw_ops.Unique(x=tf.reshape(number, [-1]))
        self._groups = tf.size(groups.y)
        self.group = tf.reshape(groups.idx, shape)
        if asked is not None:
            S = tf.shape(key)[1]
            self.group, self.group_asked = self.group[:, :S], self.group[:, S:]

    def first(self, barred: tf.Tensor) -> tf.Tensor:
        """bool [B, S], the first pair of each group, of which none is `barred`, bool [B, S]."""
        place = tf.reshape(tf.range(tf.size(self.group)), tf.shape(self.group))
        lowest = tf.where(barred, -1, place)
        lowest = tf.math.unsorted_segment_min(lowest, self.group, self._groups)
        return tf.equal(tf.gather(lowest, self.group), place)

    def group_sums(self, values: tf.Tensor, pairs: tf.Tensor | None = None) -> tf.Tensor:
        """The sum over each group: float32 [B, S, ...] -> [groups, ...].

        Args:
          values: Of each pair, or of the leading ones alone where others have 0.
          pairs: How many these are; None: all.
        """
        group = self.group if pairs is None else self.group[:, :pairs]
        known = values.shape[2:]
        rest = known if known.is_fully_defined() else tf.unstack(tf.shape(values)[2:])
        # Not a segment's sum, whose gradient looks for negative groups among all values.
        return tf.scatter_nd(group[..., None], values, tf.stack([self._groups, *rest]))

    def sums(self, values: tf.Tensor) -> tf.Tensor:
        """float32 [B, S, ...] -> for each pair the sum over its group, of the same shape."""
        return tf.gather(self.group_sums(values), self.group)
