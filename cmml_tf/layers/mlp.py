"""Fully connected stack, and the initial values that all dense layers here share."""

from collections.abc import Callable, Sequence
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

    def of_parts(
        self,
        parts: Sequence[tf.Tensor],
        behind: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    ) -> tf.Tensor:
        """The same of inputs in parts, float32 [..., I_k] in their order, I in all.

        Their leading axes may broadcast. Each part is multiplied once, and not as often as it is
        repeated in the inputs.

        Args:
          parts: The inputs.
          behind: What comes behind the last layer, of float32 [N, units[-1]], row by row.
        """
        first, *_ = self.dense_layers
        kernels = tf.split(first.kernel, [part.shape[-1] for part in parts], axis=0)
        hidden = tf.convert_to_tensor(first.bias)
        for part, kernel in zip(parts, kernels, strict=True):
            hidden += on_flat_pairs(lambda rows, by=kernel: tf.matmul(rows, by), part)
        return self.of_first(hidden, behind)

    def of_first(
        self,
        hidden: tf.Tensor,
        behind: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    ) -> tf.Tensor:
        """The same of what the first layer makes of inputs, before its activation.

        Args:
          hidden: float32 [..., units[0]].
          behind: As of `of_parts`.
        """
        first, *_ = self.dense_layers
        return on_flat_pairs(
            lambda rows: behind(self._behind_first(first.activation(rows))), hidden
        )

    def _of_rows(self, inputs: tf.Tensor) -> tf.Tensor:
        return self._behind_first(self.dense_layers[0](inputs))

    def _behind_first(self, hidden: tf.Tensor) -> tf.Tensor:
        for layer in self.dense_layers[1:]:
            hidden = layer(hidden)
        return hidden

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
