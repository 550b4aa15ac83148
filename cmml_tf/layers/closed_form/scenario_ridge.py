"""Adaptation to a scenario in closed form: ridge regression of the support labels.

Not in the paper. The regression is the context encoder, its solution the context and its
prediction, added to a recommender without context, the score. It is solved inside the forward pass
(as in Bertinetto et al. 2019, "Meta-learning with differentiable closed-form solvers") and training
goes through the solution: a learned projection of the item embedding decides in which directions
scenarios differ, and learned products of user and item in whose taste they do, which a few
meta-training scenarios are enough to tell.
"""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named, deserialized, serialize
from cmml_tf.layers.closed_form.ridge import solve_ridge
from cmml_tf.layers.closed_form.scenario_basis import ScenarioBasis
from cmml_tf.layers.learned_number import REACH, learned_number

_LEAST_PENALTY = 0.1
# Which use of the basis within a training step.
_SUPPORT, _QUERY = range(2)


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ScenarioRidgeEncoder(tf.keras.layers.Layer):
    """Context w = argmin sum_i c_i (t_i - <x_i, w>)^2 + p |w|^2 over the valid support pairs.

    x are the basis' features; t is 1 for a positive and -n for a negative, less m times the pair's
    score without context; c is 1 for a positive and q for a negative; n, m, q and p are learned.
    An empty support set gives w = 0, the recommender without context.

    Args:
      basis: Shared with `ScenarioRidgeRecommender`.

    Example:

    >>> encoder = ScenarioRidgeEncoder(ScenarioBasis([8], features=3, tastes=2))
    >>> encoder(tf.ones([2, 5, 6])).shape.as_list()
    [2, 7]
    """

    def __init__(self, basis: ScenarioBasis, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.basis = basis
        self.context_dimension = basis.width
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        build_named(self.basis, [None, None, int(input_shape[-1]) - 2])
        self.negative_target = learned_number(self, "negative_target", 0.5)
        self.negative_log_weight = learned_number(self, "negative_log_weight", 0.0)
        self.base_share = learned_number(self, "base_share", 0.5)
        self.log_penalty = learned_number(self, "log_penalty", 2.3)
        super().build(input_shape)

    def call(
        self, pairs: tf.Tensor, mask: tf.Tensor | None = None, training: bool | None = None
    ) -> tf.Tensor:
        """float32 [B, S, d + 2] with one-hot labels, bool [B, S] -> context float32 [B, D]."""
        if mask is None:
            mask = tf.ones(tf.shape(pairs)[:2], tf.bool)
        positive, negative = pairs[..., -2], pairs[..., -1]  # [B, S]
        basis = self.basis(pairs[..., :-2], use=_SUPPORT, training=training)
        base, x = basis[..., 0], basis[..., 1:]
        target = positive - REACH * self.negative_target * negative
        target -= REACH * self.base_share * base
        weight = positive + tf.exp(REACH * self.negative_log_weight) * negative
        penalty = tf.exp(REACH * self.log_penalty) + _LEAST_PENALTY
        return solve_ridge(x, target, tf.where(mask, weight, 0.0), penalty)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """The context has no sequence axis, so no mask leaves the layer."""
        del inputs, mask

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "basis": serialize(self.basis)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ScenarioRidgeEncoder":
        """A layer with a basis of its own; a model shares one between both layers."""
        return cls(**deserialized(config))


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ScenarioRidgeRecommender(tf.keras.layers.Layer):
    """score = base + g <x, w>, for the context w and a learned gate g.

    Args:
      basis: Shared with `ScenarioRidgeEncoder`.

    Example:

    >>> recommender = ScenarioRidgeRecommender(ScenarioBasis([8], features=3, tastes=2))
    >>> recommender(tf.ones([2, 5, 4]), tf.ones([2, 1, 7])).shape.as_list()
    [2, 5]
    """

    def __init__(self, basis: ScenarioBasis, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.basis = basis

    def build(self, input_shape: Any, hybrid_shape: Any = None) -> None:
        del hybrid_shape
        build_named(self.basis, input_shape)
        self.gate = learned_number(self, "gate", 1.0)
        super().build(input_shape)

    def call(
        self, pairs: tf.Tensor, hybrid_context: tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """float32 [B, Q, d], [B, 1, D] -> score float32 [B, Q]."""
        basis = self.basis(pairs, use=_QUERY, training=training)
        adapted = tf.reduce_sum(basis[..., 1:] * hybrid_context, axis=-1)
        return basis[..., 0] + REACH * self.gate * adapted

    def modulation(self, hybrid_context: tf.Tensor) -> dict[str, tf.Tensor]:
        """`output_weight` [B, 1, D]: what the context weighs the pair's features with."""
        return {"output_weight": REACH * self.gate * hybrid_context}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "basis": serialize(self.basis)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ScenarioRidgeRecommender":
        """A layer with a basis of its own; a model shares one between both layers."""
        return cls(**deserialized(config))
