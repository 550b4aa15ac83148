"""Adaptation to a scenario in closed form: ridge regression of the support labels.

Not in the paper. A learned projection of the item embedding decides in which directions scenarios
differ, and learned products of user and item in whose taste they do, which a few meta-training
scenarios are enough to tell.
"""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.closed_form.binary_labels import add_label_numbers, binary_targets
from cmml_tf.layers.closed_form.ridge_layers import ClosedFormEncoder, ClosedFormRecommender
from cmml_tf.layers.closed_form.scenario_basis import ScenarioBasis
from cmml_tf.layers.learned_number import REACH, learned_number


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ScenarioRidgeEncoder(ClosedFormEncoder):
    """A regression of positives and negatives (`binary_targets`), which share a penalty.

    An empty support set gives w = 0, the recommender without context.

    Args:
      basis: Shared with `ScenarioRidgeRecommender`.

    Example:

    >>> encoder = ScenarioRidgeEncoder(ScenarioBasis([8], features=3, tastes=2))
    >>> encoder(tf.ones([2, 5, 6])).shape.as_list()
    [2, 7]
    """

    def __init__(self, basis: ScenarioBasis, **kwargs: Any) -> None:
        super().__init__(basis, label_width=2, **kwargs)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        add_label_numbers(self)

    def targets(self, label: tf.Tensor, base: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One-hot labels float32 [B, S, 2], base [B, S] -> t, c [B, S] and p []."""
        return binary_targets(self, label[..., 0], label[..., 1], base)


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ScenarioRidgeRecommender(ClosedFormRecommender):
    """score = base + g <x, w>, for the context w and a learned gate g.

    Args:
      basis: Shared with `ScenarioRidgeEncoder`.

    Example:

    >>> recommender = ScenarioRidgeRecommender(ScenarioBasis([8], features=3, tastes=2))
    >>> recommender(tf.ones([2, 5, 4]), tf.ones([2, 1, 7])).shape.as_list()
    [2, 5]
    """

    def build(self, input_shape: Any, hybrid_shape: Any = None) -> None:
        super().build(input_shape, hybrid_shape)
        self.gate = learned_number(self, "gate", 1.0)

    def gated(self, values: tf.Tensor) -> tf.Tensor:
        """Times g."""
        return REACH * self.gate * values

    def modulation(self, hybrid_context: tf.Tensor) -> dict[str, tf.Tensor]:
        """`output_weight` [B, 1, D]: what the context weighs the pair's features with."""
        return {"output_weight": self.gated(hybrid_context)}
