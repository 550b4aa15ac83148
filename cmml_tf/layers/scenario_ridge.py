"""Adaptation to a scenario in closed form: ridge regression of the support labels.

Not in the paper. The regression is the context encoder, its solution the context and its
prediction, added to a recommender without context, the score. It is solved inside the forward pass
(as in Bertinetto et al. 2019, "Meta-learning with differentiable closed-form solvers") and training
goes through the solution: a learned projection of the item embedding decides in which directions
scenarios differ, which a few meta-training scenarios are enough to tell.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from cmml_tf.layers.backbone import Backbone

_LEAST_PENALTY = 0.1
# Adam moves every weight by about the learning rate a step; single numbers that have to move far
# are stored divided by this.
_REACH = 10.0


class ScenarioBasis(tf.keras.layers.Layer):
    """What regression and score share: a score without context, and features of a pair.

    base = MLP(u, v, u * v) + a <u, v>; features = [1, b base, P v], for user embedding u and item
    embedding v, which are equally wide; a, b and P are learned.

    Args:
      units: Hidden units of the MLP.
      features: Columns of P.
      dropout: Share of the MLP's inputs left out in training.

    Raises:
      ValueError: `features` is below 1 or `dropout` not in [0, 1).

    Example:

    >>> ScenarioBasis([8], features=3)(tf.ones([2, 5, 4])).shape.as_list()
    [2, 5, 6]
    """

    def __init__(
        self,
        units: Sequence[int] = (64, 64, 64),
        features: int = 64,
        dropout: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if features < 1:
            raise ValueError(
                f"`features` must be a positive integer. Received: features={features}."
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be at least 0 and below 1. Received: {dropout}.")
        self.backbone = Backbone(units, bias_initial_value=0.1)
        self.features = features
        self.dropout = dropout

    def build(self, input_shape: Any) -> None:
        d = int(input_shape[-1])
        if d % 2:
            raise ValueError(
                "User and item embeddings must be equally wide here. "
                f"Received: a pair embedding of {d}."
            )
        self.backbone.build([None, None, d + d // 2])
        self.affinity = self.add_weight(name="affinity", shape=[], initializer=_constant(0.4))
        self.base_feature = self.add_weight(
            name="base_feature", shape=[], initializer=_constant(0.1)
        )
        self.projection = self.add_weight(
            name="projection",
            shape=[d // 2, self.features],
            # Embeddings have a root mean square of about .25: features start near 1.
            initializer=tf.keras.initializers.Identity(gain=4.0),
        )
        super().build(input_shape)

    def call(self, pairs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """float32 [B, N, d] -> [B, N, features + 3]: base, then 1, b base, P v."""
        user, item = tf.split(pairs, 2, axis=-1)
        product = user * item
        inputs = tf.concat([pairs, 4.0 * product], axis=-1)
        if training and self.dropout > 0:
            inputs = tf.nn.dropout(inputs, self.dropout)
        base = self.backbone(inputs)[..., None]  # [B, N, 1]
        base += _REACH * self.affinity * tf.reduce_sum(product, axis=-1, keepdims=True)
        projected = tf.matmul(item, self.projection)
        own = _REACH * self.base_feature * base
        return tf.concat([base, tf.ones_like(base), own, projected], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.backbone.units,
            "features": self.features,
            "dropout": self.dropout,
        }


class ScenarioRidgeEncoder(tf.keras.layers.Layer):
    """Context w = argmin sum_i c_i (t_i - <x_i, w>)^2 + p |w|^2 over the valid support pairs.

    x are the basis' features; t is 1 for a positive and -n for a negative, less m times the pair's
    score without context; c is 1 for a positive and q for a negative; n, m, q and p are learned.
    An empty support set gives w = 0, the recommender without context.

    Args:
      basis: Shared with `ScenarioRidgeRecommender`.

    Example:

    >>> encoder = ScenarioRidgeEncoder(ScenarioBasis([8], features=3))
    >>> encoder(tf.ones([2, 5, 6])).shape.as_list()
    [2, 5]
    """

    def __init__(self, basis: ScenarioBasis, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.basis = basis
        self.context_dimension = basis.features + 2
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if not self.basis.built:
            self.basis.build([None, None, int(input_shape[-1]) - 2])
        self.negative_target = self._number("negative_target", 0.05)
        self.negative_log_weight = self._number("negative_log_weight", 0.0)
        self.base_share = self._number("base_share", 0.05)
        self.log_penalty = self._number("log_penalty", 0.23)
        super().build(input_shape)

    def _number(self, name: str, first: float) -> tf.Variable:
        return self.add_weight(name=name, shape=[], initializer=_constant(first))

    def call(
        self, pairs: tf.Tensor, mask: tf.Tensor | None = None, training: bool | None = None
    ) -> tf.Tensor:
        """float32 [B, S, d + 2] with one-hot labels, bool [B, S] -> context float32 [B, D]."""
        if mask is None:
            mask = tf.ones(tf.shape(pairs)[:2], tf.bool)
        positive, negative = pairs[..., -2], pairs[..., -1]  # [B, S]
        basis = self.basis(pairs[..., :-2], training=training)
        base, x = basis[..., 0], basis[..., 1:]
        target = positive - _REACH * self.negative_target * negative
        target -= _REACH * self.base_share * base
        weight = positive + tf.exp(_REACH * self.negative_log_weight) * negative
        weight = tf.where(mask, weight, 0.0)[..., None]
        penalty = tf.exp(_REACH * self.log_penalty) + _LEAST_PENALTY
        gram = tf.matmul(weight * x, x, transpose_a=True)  # [B, D, D]
        gram += penalty * tf.eye(self.context_dimension)
        moment = tf.matmul(weight * x, target[..., None], transpose_a=True)
        return tf.squeeze(tf.linalg.cholesky_solve(tf.linalg.cholesky(gram), moment), axis=-1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """The context has no sequence axis, so no mask leaves the layer."""
        del inputs, mask

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "basis": self.basis.get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ScenarioRidgeEncoder":
        """A layer with a basis of its own; `build_model` shares one between both layers."""
        return cls(**{**config, "basis": ScenarioBasis.from_config(config["basis"])})


class ScenarioRidgeRecommender(tf.keras.layers.Layer):
    """score = base + g <x, w>, for the context w and a learned gate g.

    Args:
      basis: Shared with `ScenarioRidgeEncoder`.

    Example:

    >>> recommender = ScenarioRidgeRecommender(ScenarioBasis([8], features=3))
    >>> recommender(tf.ones([2, 5, 4]), tf.ones([2, 1, 5])).shape.as_list()
    [2, 5]
    """

    def __init__(self, basis: ScenarioBasis, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.basis = basis

    def build(self, input_shape: Any, hybrid_shape: Any = None) -> None:
        del hybrid_shape
        if not self.basis.built:
            self.basis.build(input_shape)
        self.gate = self.add_weight(name="gate", shape=[], initializer=_constant(0.1))
        super().build(input_shape)

    def call(
        self, pairs: tf.Tensor, hybrid_context: tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """float32 [B, Q, d], [B, 1, D] -> score float32 [B, Q]."""
        basis = self.basis(pairs, training=training)
        adapted = tf.reduce_sum(basis[..., 1:] * hybrid_context, axis=-1)
        return basis[..., 0] + _REACH * self.gate * adapted

    def modulation(self, hybrid_context: tf.Tensor) -> dict[str, tf.Tensor]:
        """`output_weight` [B, 1, D]: what the context weighs the pair's features with."""
        return {"output_weight": _REACH * self.gate * hybrid_context}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "basis": self.basis.get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ScenarioRidgeRecommender":
        """A layer with a basis of its own; `build_model` shares one between both layers."""
        return cls(**{**config, "basis": ScenarioBasis.from_config(config["basis"])})


def _constant(value: float) -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.Constant(value)
