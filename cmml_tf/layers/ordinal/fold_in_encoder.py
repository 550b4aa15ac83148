"""Context encoder of an ordinal model: a new user's factors in closed form, from any support."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from cmml_tf.layers.encoders.support_encoder import SupportEncoder
from cmml_tf.layers.ordinal.levels import check_levels, level_weights
from cmml_tf.layers.ordinal.rated_pair import FactorRow, RatedPair, RaterContext, context_width
from cmml_tf.layers.sizes import positive

_SHARE_SHRINKAGE = 4.0


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class FoldInEncoder(SupportEncoder):
    """Posteriors of the user's factors in each factor model, and the last M ratings as they are.

    With V the support's item factors, r - mu its ratings above the items' means and s2 the noise,
    a posterior has the covariance (I + V^T V / s2)^-1 and the mean covariance (A^T x + V^T (r - mu)
    / s2), where A^T x is expected of the user. That comes with the query's user, so the context
    holds the covariance and V^T (r - mu) / s2. No support gives the identity and zeros. Reads pair
    embeddings of `RatingTables` with the rating appended.

    Args:
      sizes: Factors d of each model, the first 1.
      levels: Of the scale, L ascending numbers.
      share: How often each level is given.
      mean, deviation: Of ratings; inside, they have mean 0 and deviation 1.
      memory: M, ratings that are kept for neighbours; of more the last ones.

    Raises:
      ValueError: `levels` do not ascend, `share` is not as long, the first size is not 1, or
        `memory` is below 1.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        levels: Sequence[float],
        share: Sequence[float],
        mean: float,
        deviation: float,
        memory: int = 128,
        **kwargs: Any,
    ) -> None:
        levels, share, sizes = check_levels(levels), [float(one) for one in share], list(sizes)
        if len(share) != len(levels):
            raise ValueError(
                f"`share` must have a number for each of {len(levels)} levels. "
                f"Received: {len(share)}."
            )
        if not sizes or sizes[0] != 1 or min(sizes) < 1:
            raise ValueError(
                f"`sizes` must be positive integers, the first one 1. Received: sizes={sizes}."
            )
        positive(memory=memory)
        super().__init__(context_width(sizes, len(levels), memory), **kwargs)
        self.sizes, self.levels, self.share = sizes, levels, share
        self.mean, self.deviation, self.memory = mean, deviation, memory

    def encode(self, pairs: tf.Tensor, mask: tf.Tensor, training: bool | None) -> tf.Tensor:
        """float32 [B, S, d + 1], bool [B, S], true for the leading pairs -> context [B, D]."""
        del training
        label = tf.where(mask, pairs[..., -1], 0.0)
        # What lies behind a length may be no number.
        pairs = tf.where(mask[..., None], pairs[..., :-1], 0.0)
        pair = RatedPair.unpack(pairs, self.sizes, len(self.levels))
        valid = tf.cast(mask, tf.float32)
        rating = (label - self.mean) / self.deviation
        count = tf.reduce_sum(valid, axis=1)
        moments, covariances = zip(
            *(_fold_in(one, rating, valid) for one in pair.models), strict=True
        )
        given = tf.reduce_sum(valid[..., None] * level_weights(label, self.levels), axis=1)
        above = (given - count[:, None] * tf.constant(self.share)) / (
            count[:, None] + _SHARE_SHRINKAGE
        )
        first = pair.models[0]
        place, kept = self._remembered(tf.shape(mask)[1], count)

        def remembered(values: tf.Tensor, empty: float = 0.0) -> tf.Tensor:
            values = tf.pad(values, [[0, 0], [0, 1]])  # S may be 0
            return tf.where(kept, tf.gather(values, place, batch_dims=1), empty)

        return RaterContext(
            count,
            above,
            list(moments),
            list(covariances),
            remembered(tf.cast(pair.key, tf.float32), -1.0),
            remembered(rating - first.mean),
            remembered(first.factors[..., 0]),
        ).pack()

    def _remembered(self, S: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Places int32 [B, M] of the last ratings, and which of these there are, bool [B, M]."""
        count = tf.cast(count, tf.int32)[:, None]
        place = tf.maximum(count - self.memory, 0) + tf.range(self.memory)
        return tf.minimum(place, S), place < count

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("sizes", "levels", "share", "memory")}
        return {**super().get_config(), **own, "mean": self.mean, "deviation": self.deviation}


def _fold_in(row: FactorRow, rating: tf.Tensor, valid: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The moment [B, d] and covariance [B, d, d] of support ratings [B, S]."""
    weight = (valid * row.precision)[..., None]
    precision = tf.matmul(weight * row.factors, row.factors, transpose_a=True)
    precision += tf.eye(row.factors.shape[-1])
    above = (rating - row.mean)[..., None]
    moment = tf.matmul(weight * row.factors, above, transpose_a=True)[..., 0]
    identity = tf.eye(row.factors.shape[-1], batch_shape=[tf.shape(rating)[0]])
    return moment, tf.linalg.cholesky_solve(tf.linalg.cholesky(precision), identity)
