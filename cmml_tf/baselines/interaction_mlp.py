"""The interaction model of s2Meta: a ReLU network on pair embeddings, its weights replaceable."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from cmml_tf.baselines.task_weights import add_affine, affine
from cmml_tf.layers.sizes import positive_units


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class InteractionMLP(tf.keras.layers.Layer):
    """Hidden layers with ReLU, then linear to one score.

    Args:
      units: Widths of the hidden layers.

    Raises:
      ValueError: `units` is empty or holds a value below 1.

    Example:

    >>> InteractionMLP([8, 4])(tf.ones([2, 5, 6])).shape.as_list()
    [2, 5]
    """

    def __init__(self, units: Sequence[int] = (64, 32, 16), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = positive_units(units)

    def build(self, input_shape: Any) -> None:
        width = int(input_shape[-1])
        for number, units in enumerate(self.units, start=1):
            add_affine(self, f"hidden_{number}", width, units)
            width = units
        add_affine(self, "output", width, 1)
        super().build(input_shape)

    def call(self, pairs: tf.Tensor, weights: Sequence[tf.Tensor] | None = None) -> tf.Tensor:
        """float32 [B, N, d] -> score float32 [B, N].

        `weights` stand in for the layer's own, in the order of `trainable_variables`, each with a
        leading axis B or without.
        """
        weights = list(self.trainable_variables if weights is None else weights)
        *hidden, output = zip(weights[::2], weights[1::2], strict=True)
        for kernel, bias in hidden:
            pairs = tf.nn.relu(affine(pairs, kernel, bias))
        return tf.squeeze(affine(pairs, *output), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
