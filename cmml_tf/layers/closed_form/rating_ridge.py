"""Adaptation in closed form: a ridge regression of a user's ratings on learned item features.

The regression is the context encoder, its solution the context and its prediction the recommender.
It is solved inside the forward pass (as in Bertinetto et al. 2019, "Meta-learning with
differentiable closed-form solvers"), and training goes through the solution: the features, the
penalties and what is predicted for a user without ratings are learned such that the regression
generalises. Not in the paper.
"""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named, deserialized, serialize
from cmml_tf.layers.closed_form.ridge import solve_ridge

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

    def call(self, pairs: tf.Tensor) -> tf.Tensor:
        """float32 [B, N, d] -> [B, N, k + 2]: expected rating, then 1, then k features."""
        expected = tf.matmul(pairs, self.weight) + self.offset
        features = tf.matmul(pairs[..., : self.item_dimension], self.projection)
        return tf.concat([expected, tf.ones_like(expected), features], axis=-1)

    def get_config(self) -> dict[str, Any]:
        own = {"item_dimension": self.item_dimension, "features": self.features}
        return {**super().get_config(), **own}


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RidgeContextEncoder(tf.keras.layers.Layer):
    """The context is w = argmin sum_i (y_i - expected_i - <x_i, w>)^2 + <w, L w>, L diagonal.

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
        super().__init__(**kwargs)
        self.basis = basis
        self.context_dimension = basis.features + 1
        self.bias_penalty = bias_penalty
        self.feature_penalty = feature_penalty
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        first = [self.bias_penalty] + [self.feature_penalty] * self.basis.features
        build_named(self.basis, [None, None, int(input_shape[-1]) - 1])
        self.log_penalty = self.add_weight(
            name="log_penalty",
            shape=[len(first)],
            initializer=lambda *a, **_: tf.math.log(tf.constant(first)),
        )
        super().build(input_shape)

    def call(
        self, pairs: tf.Tensor, mask: tf.Tensor | None = None, training: bool | None = None
    ) -> tf.Tensor:
        """float32 [B, S, d + 1], bool [B, S] -> context float32 [B, k + 1]."""
        del training
        if mask is None:
            mask = tf.ones(tf.shape(pairs)[:2], tf.bool)
        basis = self.basis(pairs[..., :-1])  # [B, S, k + 2]
        residual = tf.where(mask, pairs[..., -1] - basis[..., 0], 0.0)  # [B, S]
        x = tf.where(mask[..., None], basis[..., 1:], 0.0)
        penalty = tf.exp(self.log_penalty) + _LEAST_PENALTY
        return solve_ridge(x, residual, tf.cast(mask, tf.float32), penalty)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """The context has no sequence axis, so no mask leaves the layer."""
        del inputs, mask

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "basis": serialize(self.basis),
            "bias_penalty": self.bias_penalty,
            "feature_penalty": self.feature_penalty,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RidgeContextEncoder":
        """A layer with a basis of its own; a model shares one between both layers."""
        return cls(**deserialized(config))


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RidgeRecommender(tf.keras.layers.Layer):
    """score = expected + <x, w>, for the context w.

    Args:
      basis: Shared with the context encoder.
    """

    def __init__(self, basis: RidgeBasis, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.basis = basis

    def build(self, input_shape: Any, hybrid_shape: Any = None) -> None:
        del hybrid_shape
        build_named(self.basis, input_shape)
        super().build(input_shape)

    def call(self, pairs: tf.Tensor, hybrid_context: tf.Tensor) -> tf.Tensor:
        """float32 [B, Q, d], [B, 1, k + 1] -> score float32 [B, Q]."""
        basis = self.basis(pairs)
        return basis[..., 0] + tf.reduce_sum(basis[..., 1:] * hybrid_context, axis=-1)

    def modulation(self, hybrid_context: tf.Tensor) -> dict[str, tf.Tensor]:
        """`output_bias` [B, 1, 1], the user's offset, and `output_weight` [B, 1, k]."""
        return {"output_bias": hybrid_context[..., :1], "output_weight": hybrid_context[..., 1:]}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "basis": serialize(self.basis)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RidgeRecommender":
        """A layer with a basis of its own; a model shares one between both layers."""
        return cls(**deserialized(config))
