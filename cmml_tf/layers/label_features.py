"""What a support rating contributes to its pair (paper section 3.2, user setting)."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.mlp import MLP


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
        self.mlp = MLP([units, units])

    def build(self, input_shape: Any) -> None:
        del input_shape
        self.mlp.build([None, None, 1])
        super().build(None)

    def call(self, rating: tf.Tensor) -> tf.Tensor:
        """float32 [B, S] -> float32 [B, S, units]."""
        return self.mlp(rating[..., None])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def rating_itself(rating: tf.Tensor) -> tf.Tensor:
    """float32 [B, S] -> float32 [B, S, 1], for an encoder that computes with the number."""
    return rating[..., None]
