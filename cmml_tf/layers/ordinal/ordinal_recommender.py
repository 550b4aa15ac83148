"""Modulation and backbone of an ordinal model: predictions weighed, then a distribution of levels.

What is known of user and item sets the weights of the predictions, the precision of their sum and
what each level gains beside it.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named, built_shape
from cmml_tf.layers.mlp import MLP
from cmml_tf.layers.ordinal.levels import check_levels, mean_level
from cmml_tf.layers.sizes import positive


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class OrdinalRecommender(tf.keras.layers.Layer):
    """p(level l) ~ exp(-k (l - m)^2 / 2 + b_l),   m = <w, predictions>.

    w, k and b are of an MLP of the hybrid context. At first w weighs all alike, k is 1 and b is 0.
    Inside, ratings have mean 0 and deviation 1.

    Args:
      predictions: The leading values of the hybrid context that are predictions.
      levels: Of the scale, L ascending numbers.
      mean, deviation: Of ratings.
      units: Hidden units of the MLP, layer by layer.

    Raises:
      ValueError: `predictions` is below 1, `levels` do not ascend, or `units` is empty or holds a
        value below 1.
    """

    def __init__(
        self,
        predictions: int,
        levels: Sequence[float],
        mean: float,
        deviation: float,
        units: Sequence[int] = (32, 32),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        positive(predictions=predictions)
        self.predictions, self.levels = predictions, check_levels(levels)
        self.mean, self.deviation, self.units = mean, deviation, list(units)
        self.mlp = MLP(self.units, name="mlp")
        zeros, even = "zeros", tf.keras.initializers.Constant(1.0 / predictions)
        dense = tf.keras.layers.Dense
        self.weights_of = dense(predictions, None, True, zeros, even, name="mixture")
        self.precision_of = dense(1, None, True, zeros, zeros, name="precision")
        self.gains_of = dense(len(self.levels), None, True, zeros, zeros, name="gains")

    def build(self, pair_shape: Any, hybrid_shape: Any = None) -> None:
        if hybrid_shape is not None:
            build_named(self.mlp, hybrid_shape)
        for layer in (self.weights_of, self.precision_of, self.gains_of):
            build_named(layer, [None, None, self.units[-1]])
        super().build(pair_shape)

    def call(self, pairs: tf.Tensor, hybrid_context: tf.Tensor) -> tf.Tensor:
        """float32 [B, Q, d], C_h [B, Q, h] -> score float32 [B, Q], the mean of the levels."""
        return mean_level(self.probability(pairs, hybrid_context), self.levels)

    def probability(self, pairs: tf.Tensor, hybrid_context: tf.Tensor) -> tf.Tensor:
        """Of each level, float32 [B, Q, L]."""
        return tf.nn.softmax(self.logits(pairs, hybrid_context))

    def logits(self, pairs: tf.Tensor, hybrid_context: tf.Tensor) -> tf.Tensor:
        """float32 [B, Q, L], whose softmax is the distribution."""
        del pairs
        set_by_context = self.modulation(hybrid_context)
        weighed = set_by_context["mixture_weight"] * hybrid_context[..., : self.predictions]
        middle = tf.reduce_sum(weighed, axis=-1, keepdims=True)
        level = (tf.constant(self.levels) - self.mean) / self.deviation
        distance = -0.5 * set_by_context["precision"] * tf.square(level - middle)
        return distance + set_by_context["level_gain"]

    def modulation(self, hybrid_context: tf.Tensor) -> dict[str, tf.Tensor]:
        """`mixture_weight` [B, Q, predictions], `precision` [B, Q, 1], `level_gain` [B, Q, L]."""
        hidden = tf.nn.relu(self.mlp(hybrid_context))
        return {
            "mixture_weight": self.weights_of(hidden),
            "precision": tf.exp(self.precision_of(hidden)),
            "level_gain": self.gains_of(hidden),
        }

    def get_build_config(self) -> dict[str, Any] | None:
        """Both shapes of `build`."""
        config = super().get_build_config()
        return config and {**config, "hybrid_shape": built_shape(self.mlp)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Creates the weights that a layer of this `get_build_config` has."""
        self.build(config["input_shape"], config["hybrid_shape"])

    def get_config(self) -> dict[str, Any]:
        names = ("predictions", "levels", "mean", "deviation", "units")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
