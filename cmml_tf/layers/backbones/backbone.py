"""The recommender that is modulated: hidden layers with LeakyReLU, then one score (section 3.4)."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.flat_pairs import on_flat_pairs
from cmml_tf.layers.mlp import dense
from cmml_tf.layers.sizes import positive_units

LEAK = 0.01


class HiddenLayers(tf.keras.layers.Layer):
    """What every backbone has: hidden layers, and behind them most times an output layer.

    All recommenders of this package are called as `layer(pairs, hybrid_context)`;
    `layer.modulation(hybrid_context)` gives what the context sets, by name, and
    `layer.score_and_hidden(pairs, hybrid_context)` the last hidden layer beside the score.

    Args:
      units: Widths of the hidden layers.
      bias_initial_value: First value of all biases.

    Raises:
      ValueError: `units` is empty or holds a value below 1.
    """

    def __init__(
        self, units: Sequence[int] = (64, 64, 64), bias_initial_value: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units = positive_units(units)
        self.bias_initial_value = bias_initial_value
        self.hidden_layers = [
            dense(width, bias=bias_initial_value, name=f"hidden_{index}")
            for index, width in enumerate(self.units)
        ]
        self.output_layer = self._make_output_layer()

    def _make_output_layer(self) -> Any:
        """The layer of the score; None where the context writes it."""
        return dense(1, bias=self.bias_initial_value, name="output")

    def build(self, input_shape: Any, hybrid_shape: Any = None) -> None:
        del hybrid_shape
        width = int(input_shape[-1])
        for layer in self.hidden_layers:
            build_named(layer, [None, width])
            width = layer.units
        if self.output_layer is not None:
            build_named(self.output_layer, [None, width])
        super().build(input_shape)

    def hidden(
        self, pairs: tf.Tensor, modulate: Callable[[int, tf.Tensor], tf.Tensor] | None = None
    ) -> tf.Tensor:
        """float32 [B, Q, d] -> the last hidden layer [B, Q, H].

        `modulate(l, x)` changes the pre-activation x [B, Q, H] of layer l, before LeakyReLU.
        """
        if modulate is None:
            return on_flat_pairs(self._unmodulated, pairs)
        for index, layer in enumerate(self.hidden_layers):
            pairs = modulate(index, on_flat_pairs(layer, pairs))
            pairs = tf.nn.leaky_relu(pairs, LEAK)
        return pairs

    def _unmodulated(self, pairs: tf.Tensor) -> tf.Tensor:
        for layer in self.hidden_layers:
            pairs = tf.nn.leaky_relu(layer(pairs), LEAK)
        return pairs

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "bias_initial_value": self.bias_initial_value,
        }


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class Backbone(HiddenLayers):
    """Maps pair embeddings to scores without modulation: the "no-context MLP".

    Args:
      units: Widths of the hidden layers.
      bias_initial_value: First value of all biases.

    Example:

    >>> Backbone([8, 8])(tf.ones([2, 5, 4])).shape.as_list()
    [2, 5]
    """

    def call(self, pairs: tf.Tensor, hybrid_context: tf.Tensor | None = None) -> tf.Tensor:
        """float32 [B, Q, d] -> score float32 [B, Q]; the context is not read."""
        return self.score_and_hidden(pairs, hybrid_context)[0]

    def score_and_hidden(
        self, pairs: tf.Tensor, hybrid_context: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [B, Q, d] -> score float32 [B, Q], last hidden layer [B, Q, H]."""
        del hybrid_context
        hidden = self.hidden(pairs)
        return tf.squeeze(self.output_layer(hidden), axis=-1), hidden

    def modulation(self, hybrid_context: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the context sets in this recommender: here nothing."""
        del hybrid_context
        return {}
