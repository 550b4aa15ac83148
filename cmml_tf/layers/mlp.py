"""Fully connected stack, and the initial values that all dense layers here share."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.flat_pairs import on_flat_pairs
from cmml_tf.layers.sizes import positive_units


def fan_in_uniform() -> tf.keras.initializers.Initializer:
    """Uniform in +-1/sqrt(fan in): what the reference implementation's linear layers start from."""
    return tf.keras.initializers.VarianceScaling(1.0 / 3.0, mode="fan_in", distribution="uniform")


def dense(
    units: int, activation: str | None = None, bias: float = 0.0, name: str | None = None
) -> tf.keras.layers.Dense:
    """A dense layer with this library's initial values; all biases start at `bias`."""
    return tf.keras.layers.Dense(
        units,
        activation=activation,
        kernel_initializer=fan_in_uniform(),
        bias_initializer=tf.keras.initializers.Constant(bias),
        name=name,
    )


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class MLP(tf.keras.layers.Layer):
    """Dense layers with ReLU between them; the last one is linear.

    Args:
      units: Widths of the layers, at least one.

    Raises:
      ValueError: `units` is empty or holds a value below 1.

    Example:

    >>> MLP([8, 4])(tf.ones([2, 3])).shape.as_list()
    [2, 4]
    """

    def __init__(self, units: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = positive_units(units)
        self.dense_layers = [
            dense(width, "relu" if index < len(self.units) - 1 else None, name=f"layer_{index}")
            for index, width in enumerate(self.units)
        ]

    def build(self, input_shape: Any) -> None:
        width = int(input_shape[-1])
        for layer in self.dense_layers:
            build_named(layer, [None, width])
            width = layer.units
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """float32 [..., I] -> float32 [..., units[-1]]."""
        return on_flat_pairs(self._of_rows, inputs)

    def _of_rows(self, inputs: tf.Tensor) -> tf.Tensor:
        for layer in self.dense_layers:
            inputs = layer(inputs)
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
