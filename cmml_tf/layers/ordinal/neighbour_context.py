"""Hybrid context of an ordinal model: what the user's factors and rated neighbours say of an item.

Each prediction r is one of several; the recommender weighs them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.layers.ordinal.rated_pair import RatedPair, RaterContext
from cmml_tf.layers.sizes import positive

_FIRST_WEIGHTS = (0.3, 1.5, 0.05, 3.0)
_REACH = 4.0  # deviations beyond which no feature goes
_USUAL_COUNT = 4.0  # log(1 + ratings) of an item
NEIGHBOURS = len(_FIRST_WEIGHTS)
"""Predictions from neighbours."""


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class NeighbourContext(tf.keras.layers.Layer):
    """C_h of a query pair: predictions of its rating, and how much is known for each.

    Of each factor model the rating mu + <v, m>, m the posterior mean, with its deviation
    sqrt(v^T covariance v). Then, from the M remembered ratings, the first model's plus

      sum_j k_ij e_j / (sum_j k_ij + w),

    e_j what rating j lies above the first model, for the residual kernel k = c (see
    `cmml_tf.embeddings.residual_kernel`) with two weights w of having no neighbour, k = c^2, and
    the squared cosine of the items' contents; the four w are learned. Behind these come log(1 +
    sum_j c_ij), log(1 + n), 1 / (1 + n), how often the item was rated, the user's factor in the
    first model, and the shares of levels of user and item above the usual ones.

    Args:
      sizes: Factors d of each model, the first 1.
      levels: L.
      memory: M.
      items: I; with groups of I + 1 keys, as `RatingTables`.
      kernel_items: n, items that have a place in the kernel.
      content_width: Columns of the items' content.
      groups: Of keys; more than one in training only.

    Raises:
      ValueError: A size is below 1 (`content_width`: below 0).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        levels: int,
        memory: int,
        items: int,
        kernel_items: int,
        content_width: int,
        groups: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._sizes = positive(
            levels=levels,
            memory=memory,
            items=items,
            kernel_items=kernel_items,
            groups=groups,
        )
        if content_width < 0:
            raise ValueError(
                "`content_width` must be zero or a positive integer. "
                f"Received: content_width={content_width}."
            )
        self.sizes, self.levels, self.memory = list(sizes), levels, memory
        self.items, self.groups = items, groups
        self.kernel_rows, self.content_width = kernel_items + 1, content_width

    def build(self, context_shape: Any, pair_shape: Any = None) -> None:
        del pair_shape
        keys = self.groups * (self.items + 1)
        kernel = [self.groups * self.kernel_rows, self.kernel_rows]
        self.place = self._table("place", [keys], tf.int32)
        self.kernel = self._table("kernel", kernel, tf.float16)
        self.content = self._table("content", [self.items + 1, self.content_width], tf.float32)
        first = np.log(np.array(_FIRST_WEIGHTS, np.float32))
        self.log_weight = self.add_weight(
            name="log_weight",
            shape=[NEIGHBOURS],
            initializer=lambda *a, **_: tf.constant(first),
        )
        super().build(context_shape)

    def _table(self, name: str, shape: list[int], dtype: tf.DType) -> tf.Variable:
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False
        )

    def set_tables(self, place: np.ndarray, kernel: np.ndarray, content: np.ndarray) -> None:
        """Fills the frozen tables.

        Args:
          place: int32 [groups (items + 1)], each key's row of the kernel.
          kernel: float16 [groups (kernel_items + 1), kernel_items + 1].
          content: float32 [items + 1, content_width], rows of length 1, or of zeros.
        """
        self.place.assign(place)
        self.kernel.assign(kernel)
        self.content.assign(content)

    def output_width(self, context_dimension: int, pair_dimension: int) -> int:
        """Width of C_h."""
        del context_dimension, pair_dimension
        return self.predictions + len(self.sizes) - 1 + 5 + 2 * self.levels

    @property
    def predictions(self) -> int:
        """The leading values of C_h that are predictions, in deviations from the mean rating."""
        return len(self.sizes) + NEIGHBOURS

    def call(self, context: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
        """float32 [B, D], pair embeddings [B, Q, d] -> C_h [B, Q, output_width]."""
        rater = RaterContext.unpack(context, self.sizes, self.levels, self.memory)
        pair = RatedPair.unpack(pairs, self.sizes, self.levels)
        predicted, deviation, means = [], [], []
        for model, moment, covariance in zip(
            pair.models, rater.moments, rater.covariances, strict=True
        ):
            mean = tf.matmul(model.prior + moment[:, None], covariance)  # [B, Q, d]
            variance = tf.reduce_sum(tf.matmul(model.factors, covariance) * model.factors, axis=-1)
            predicted.append(model.mean + tf.reduce_sum(model.factors * mean, axis=-1))
            deviation.append(tf.sqrt(tf.maximum(variance, 0.0)))
            means.append(mean)
        factor = means[0][..., 0]  # [B, Q]
        neighbours, strength = self._neighbours(rater, pair.key, factor)
        predicted += [predicted[0] + one for one in neighbours]
        n = tf.repeat(rater.count[:, None], tf.shape(factor)[1], axis=1)
        known = [
            *deviation[1:],
            tf.math.log1p(strength),
            tf.math.log1p(n) / 3.0,
            1.0 / (1.0 + n),
            (tf.math.log1p(pair.count) - _USUAL_COUNT) / 2.0,
            factor,
        ]
        own = tf.repeat(rater.levels_above[:, None], tf.shape(factor)[1], axis=1)
        shares = tf.concat([4.0 * own, 4.0 * pair.levels_above], axis=-1)
        features = tf.concat([tf.stack(predicted + known, axis=-1), shares], axis=-1)
        return tf.clip_by_value(features, -_REACH, _REACH)

    def _neighbours(
        self, rater: RaterContext, key: tf.Tensor, factor: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """What neighbours add, float32 [B, Q] of each kind, and the sum of the kernel [B, Q]."""
        rated = tf.cast(rater.key, tf.int64)  # [B, M]
        there = tf.cast(rated >= 0, tf.float32)
        # A context comes from outside, and may hold any number.
        rated = tf.clip_by_value(rated, 0, self.groups * (self.items + 1) - 1)
        values = tf.stack([there * rater.above, there * rater.factor, there], axis=-1)
        similar = self._kernel(key, rated)
        content = self._content(key, rated)
        weights = tf.exp(self.log_weight)
        found, strengths = [], []
        for kernel in (similar, tf.square(similar), tf.square(content)):
            above, loading, strength = tf.unstack(tf.matmul(kernel, values), axis=-1)
            found.append(above - factor * loading)
            strengths.append(strength)
        kinds = zip((0, 0, 1, 2), tf.unstack(weights), strict=True)
        return [found[kind] / (strengths[kind] + w) for kind, w in kinds], strengths[0]

    def _kernel(self, key: tf.Tensor, rated: tf.Tensor) -> tf.Tensor:
        """Keys [B, Q] and [B, M] of one group -> float32 [B, Q, M]."""
        row = tf.cast(tf.gather(self.place, key), tf.int64)
        column = tf.cast(tf.gather(self.place, rated), tf.int64) % self.kernel_rows
        place = row[:, :, None] * self.kernel_rows + column[:, None, :]
        return tf.cast(tf.gather(tf.reshape(self.kernel, [-1]), place), tf.float32)

    def _content(self, key: tf.Tensor, rated: tf.Tensor) -> tf.Tensor:
        """The same of the content; an item's content is the same in every group."""
        query, support = (tf.gather(self.content, one % (self.items + 1)) for one in (key, rated))
        return tf.matmul(query, support, transpose_b=True)

    def get_config(self) -> dict[str, Any]:
        own = {"sizes": self.sizes, **self._sizes, "content_width": self.content_width}
        return {**super().get_config(), **own}
