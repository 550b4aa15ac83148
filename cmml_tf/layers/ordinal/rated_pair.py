"""What the columns of a pair embedding and of a context of an ordinal model mean."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf


class FactorRow(NamedTuple):
    """An item in one factor model: r = mean + <factors, u> + e, e of the variance 1 / precision.

    Attributes:
      mean: float32 [B, N].
      factors: float32 [B, N, d].
      precision: float32 [B, N].
      prior: float32 [B, N, d], factors that are expected of the pair's user before any rating.
    """

    mean: tf.Tensor
    factors: tf.Tensor
    precision: tf.Tensor
    prior: tf.Tensor


class RatedPair(NamedTuple):
    """A pair embedding taken apart.

    Attributes:
      key: int64 [B, N], the item's.
      models: The pair in each factor model, the first of which has one factor.
      count: float32 [B, N], how often the item was rated.
      levels_above: float32 [B, N, L], shares of its ratings above the usual ones.
    """

    key: tf.Tensor
    models: list[FactorRow]
    count: tf.Tensor
    levels_above: tf.Tensor

    @classmethod
    def unpack(cls, pairs: tf.Tensor, sizes: Sequence[int], levels: int) -> "RatedPair":
        """float32 [B, N, pair_width(sizes, levels)]."""
        widths = [1, *(width for d in sizes for width in (1, d, 1)), 1, levels, *sizes]
        key, *parts = tf.split(pairs, widths, axis=-1)
        models = [
            FactorRow(
                parts[3 * k][..., 0],
                parts[3 * k + 1],
                parts[3 * k + 2][..., 0],
                parts[3 * len(sizes) + 2 + k],
            )
            for k in range(len(sizes))
        ]
        count, above = parts[3 * len(sizes)], parts[3 * len(sizes) + 1]
        return cls(tf.cast(key[..., 0], tf.int64), models, count[..., 0], above)


def item_width(sizes: Sequence[int], levels: int) -> int:
    """Columns of an item row."""
    return sum(d + 2 for d in sizes) + 1 + levels


def pair_width(sizes: Sequence[int], levels: int) -> int:
    """Columns of a pair embedding: the key, the item row and the user row."""
    return 1 + item_width(sizes, levels) + sum(sizes)


class RaterContext(NamedTuple):
    """The context of an ordinal model taken apart. M remembered ratings.

    Attributes:
      count: float32 [B], n, ratings of the support.
      levels_above: float32 [B, L], shares of the user's ratings above the usual ones.
      moments: float32 [B, d] of each factor model: what ratings say of the user's factors.
      covariances: float32 [B, d, d] of each; the posterior mean is covariance (prior + moment).
      key: float32 [B, M], items of remembered ratings, -1 where there is none.
      above: float32 [B, M], what these ratings lie above the mean of the first factor model.
      factor: float32 [B, M], the items' one factor in it.
    """

    count: tf.Tensor
    levels_above: tf.Tensor
    moments: list[tf.Tensor]
    covariances: list[tf.Tensor]
    key: tf.Tensor
    above: tf.Tensor
    factor: tf.Tensor

    def pack(self) -> tf.Tensor:
        """float32 [B, context_width]."""
        flat = [tf.reshape(one, [-1, one.shape[1] * one.shape[2]]) for one in self.covariances]
        parts = [self.count[:, None], self.levels_above, *self.moments, *flat]
        return tf.concat([*parts, self.key, self.above, self.factor], axis=-1)

    @classmethod
    def unpack(
        cls, context: tf.Tensor, sizes: Sequence[int], levels: int, memory: int
    ) -> "RaterContext":
        """float32 [B, context_width(sizes, levels, memory)]."""
        widths = [1, levels, *sizes, *(d * d for d in sizes), memory, memory, memory]
        count, above, *parts = tf.split(context, widths, axis=-1)
        models = len(sizes)
        covariances = [
            tf.reshape(part, [-1, d, d])
            for part, d in zip(parts[models : 2 * models], sizes, strict=True)
        ]
        return cls(count[:, 0], above, parts[:models], covariances, *parts[2 * models :])


def context_width(sizes: Sequence[int], levels: int, memory: int) -> int:
    """Columns of a context."""
    return 1 + levels + sum(d + d * d for d in sizes) + 3 * memory
