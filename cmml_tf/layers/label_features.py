"""What a support rating contributes to its pair (paper section 3.2, user setting)."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.mlp import MLP


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RatingFeatures(tf.keras.layers.Layer):
    """A rating through a small MLP of its own: 1 - units (ReLU) - units.

    Args:
      units: Hidden and output units.

    Example:

    >>> RatingFeatures(8)(tf.constant([[4.0, 2.5]])).shape.as_list()
    [1, 2, 8]
    """

    def __init__(self, units: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.mlp = MLP([units, units], name="mlp")

    def build(self, input_shape: Any) -> None:
        build_named(self.mlp, [None, None, 1])
        super().build(input_shape)

    def call(self, rating: tf.Tensor) -> tf.Tensor:
        """float32 [B, S] -> float32 [B, S, units]."""
        return self.mlp(rating[..., None])

    def compute_output_shape(self, input_shape: Any) -> tf.TensorShape:
        """[B, S] -> [B, S, units]."""
        return tf.TensorShape([*input_shape, self.units])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RatingItself(tf.keras.layers.Layer):
    """The number alone, for an encoder that computes with it.

    Example:

    >>> RatingItself()(tf.constant([[4.0, 2.5]])).shape.as_list()
    [1, 2, 1]
    """

    def call(self, rating: tf.Tensor) -> tf.Tensor:
        """float32 [B, S] -> float32 [B, S, 1]."""
        return rating[..., None]

    def compute_output_shape(self, input_shape: Any) -> tf.TensorShape:
        """[B, S] -> [B, S, 1]."""
        return tf.TensorShape([*input_shape, 1])
