"""Adaptation in closed form: a regression of the support is the context encoder.

Its solution is the context and its prediction, added to what is expected without a context, the
score. It is solved inside the forward pass (as in Bertinetto et al. 2019, "Meta-learning with
differentiable closed-form solvers"), and training goes through the solution: what the regression
sees of a pair, its basis, is learned such that it generalises. Not in the paper.
"""

from abc import abstractmethod
from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named, deserialized, serialize
from cmml_tf.layers.closed_form.ridge import solve_ridge
from cmml_tf.layers.encoders.support_encoder import SupportEncoder

# Which use of the basis within a training step.
_SUPPORT, _QUERY = range(2)


class WithBasis(tf.keras.layers.Layer):
    """A layer that reads pairs through a basis, a layer that another one shares."""

    basis: tf.keras.layers.Layer

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "basis": serialize(self.basis)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WithBasis":
        """A layer with a basis of its own; a model shares one between both layers."""
        return cls(**deserialized(config))


class ClosedFormEncoder(WithBasis, SupportEncoder):
    """Context w = argmin sum_i c_i (t_i - <x_i, w>)^2 + sum_f p_f w_f^2 over the valid pairs.

    No support gives w = 0. A subclass says in `targets` what a label asks for.

    Args:
      basis: From pairs [B, S, d] to [B, S, 1 + width]: a score without context, then x.
      label_width: Last values of a support pair that are its label.
    """

    def __init__(self, basis: tf.keras.layers.Layer, label_width: int, **kwargs: Any) -> None:
        super().__init__(basis.width, **kwargs)
        self.basis = basis
        self._label_width = label_width

    def build(self, input_shape: Any) -> None:
        build_named(self.basis, [None, None, int(input_shape[-1]) - self._label_width])
        super().build(input_shape)

    def encode(self, pairs: tf.Tensor, mask: tf.Tensor, training: bool | None) -> tf.Tensor:
        """float32 [B, S, d + label_width], bool [B, S] -> context float32 [B, width]."""
        pairs, label = pairs[..., : -self._label_width], pairs[..., -self._label_width :]
        basis = self.basis(pairs, use=_SUPPORT, training=training)
        target, weight, penalty = self.targets(label, basis[..., 0])
        # What lies behind a length may be no number.
        x = tf.where(mask[..., None], basis[..., 1:], 0.0)
        return solve_ridge(x, tf.where(mask, target, 0.0), tf.where(mask, weight, 0.0), penalty)

    @abstractmethod
    def targets(self, label: tf.Tensor, base: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Labels float32 [B, S, label_width], scores without context [B, S] -> t, c, p."""


class ClosedFormRecommender(WithBasis):
    """score = base + <x, w>, for the context w.

    Args:
      basis: Shared with the context encoder.
    """

    def __init__(self, basis: tf.keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.basis = basis

    def build(self, input_shape: Any, hybrid_shape: Any = None) -> None:
        del hybrid_shape
        build_named(self.basis, input_shape)
        super().build(input_shape)

    def call(
        self, pairs: tf.Tensor, hybrid_context: tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """float32 [B, Q, d], [B, 1, width] -> score float32 [B, Q]."""
        basis = self.basis(pairs, use=_QUERY, training=training)
        return basis[..., 0] + self.gated(tf.reduce_sum(basis[..., 1:] * hybrid_context, axis=-1))

    @abstractmethod
    def gated(self, values: tf.Tensor) -> tf.Tensor:
        """What the context adds, or weighs a feature with, as the score has it."""
