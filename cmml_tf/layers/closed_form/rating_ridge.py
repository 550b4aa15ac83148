"""Adaptation to a user in closed form: ridge regression of ratings on learned item features.

Learned are the features, the penalties and what is expected of a user without ratings.
"""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.closed_form.ridge_layers import ClosedFormEncoder, ClosedFormRecommender

_LEAST_PENALTY = 1e-3


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RidgeBasis(tf.keras.layers.Layer):
    """What the regression works with: a rating expected of anyone, and k features of an item.

    expected = <e, v> + c, over item and user; features = [1, e_item P].

    Args:
      item_dimension: Leading values of a pair embedding that belong to the item.
      features: k; P starts as the identity on the values behind the first, v as the first value.
    """

    def __init__(self, item_dimension: int, features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 1 <= features < item_dimension:
            raise ValueError(
                "`features` must be positive and below the item's dimension "
                f"({item_dimension}). Received: features={features}."
            )
        self.item_dimension = item_dimension
        self.features = features

    @property
    def width(self) -> int:
        """How many features a pair has."""
        return 1 + self.features

    def build(self, input_shape: Any) -> None:
        d, k = int(input_shape[-1]), self.features
        self.weight = self.add_weight(
            name="weight", shape=[d, 1], initializer=lambda *a, **_: tf.one_hot([0], d, axis=0)
        )
        self.offset = self.add_weight(name="offset", shape=[1], initializer="zeros")
        rest = self.item_dimension - 1 - k
        blocks = [tf.zeros([1, k]), tf.eye(k), tf.zeros([rest, k])]
        self.projection = self.add_weight(
            name="projection",
            shape=[self.item_dimension, k],
            initializer=lambda *a, **_: tf.concat(blocks, axis=0),
        )
        super().build(input_shape)

    def call(self, pairs: tf.Tensor, use: int = 0, training: bool | None = None) -> tf.Tensor:
        """float32 [B, N, d] -> [B, N, k + 2]: expected rating, then 1, then k features."""
        del use, training
        expected = tf.matmul(pairs, self.weight) + self.offset
        features = tf.matmul(pairs[..., : self.item_dimension], self.projection)
        return tf.concat([expected, tf.ones_like(expected), features], axis=-1)

    def get_config(self) -> dict[str, Any]:
        own = {"item_dimension": self.item_dimension, "features": self.features}
        return {**super().get_config(), **own}


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RidgeContextEncoder(ClosedFormEncoder):
    """A regression of what ratings differ from the expected one, every weight with its penalty.

    No support gives w = 0, the expected rating. Reads pair embeddings with the rating appended.

    Args:
      basis: Shared with the recommender.
      bias_penalty: First value of the penalty on the user's offset.
      feature_penalty: First value of the penalties on the other weights.
    """

    def __init__(
        self,
        basis: RidgeBasis,
        bias_penalty: float = 3.0,
        feature_penalty: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(basis, label_width=1, **kwargs)
        self.bias_penalty = bias_penalty
        self.feature_penalty = feature_penalty

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        first = [self.bias_penalty] + [self.feature_penalty] * self.basis.features
        self.log_penalty = self.add_weight(
            name="log_penalty",
            shape=[len(first)],
            initializer=lambda *a, **_: tf.math.log(tf.constant(first)),
        )

    def targets(self, label: tf.Tensor, base: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Ratings float32 [B, S, 1], expected ones [B, S] -> t, c [B, S] and p [k + 1]."""
        penalty = tf.exp(self.log_penalty) + _LEAST_PENALTY
        return label[..., 0] - base, tf.ones_like(base), penalty

    def get_config(self) -> dict[str, Any]:
        own = {"bias_penalty": self.bias_penalty, "feature_penalty": self.feature_penalty}
        return {**super().get_config(), **own}


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RidgeRecommender(ClosedFormRecommender):
    """score = expected + <x, w>, for the context w."""

    def gated(self, values: tf.Tensor) -> tf.Tensor:
        """As they are."""
        return values

    def modulation(self, hybrid_context: tf.Tensor) -> dict[str, tf.Tensor]:
        """`output_bias` [B, 1, 1], the user's offset, and `output_weight` [B, 1, k]."""
        return {"output_bias": hybrid_context[..., :1], "output_weight": hybrid_context[..., 1:]}
