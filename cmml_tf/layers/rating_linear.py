"""Linear weight modulation as the authors' user setting has it (paper equation 9)."""

from collections.abc import Callable

import tensorflow as tf

from cmml_tf.layers.mlp import MLP
from cmml_tf.layers.modulation import LinearBackbone


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RatingLinearBackbone(LinearBackbone):
    """Hidden layers with ReLU between and none behind the last; one hidden hyper-network layer.

    Args:
      units: Widths of the hidden layers; the context writes `units[-1]` weights and a bias.
      hyper_units: Hidden units h of the hyper-network.
      bias_initial_value: First value of the backbone's biases.

    Example:

    >>> RatingLinearBackbone([8, 8])(tf.ones([2, 5, 4]), tf.ones([2, 5, 4])).shape.as_list()
    [2, 5]
    """

    def _make_hyper_network(self) -> MLP:
        return MLP([self.hyper_units, self.units[-1] + 1], name="hyper_network")

    def hidden(
        self, pairs: tf.Tensor, modulate: Callable[[int, tf.Tensor], tf.Tensor] | None = None
    ) -> tf.Tensor:
        """float32 [B, Q, d] -> the last hidden layer [B, Q, H], before any activation."""
        del modulate
        for layer in self.hidden_layers[:-1]:
            pairs = tf.nn.relu(layer(pairs))
        return self.hidden_layers[-1](pairs)
