"""s2Meta's stop controller: an LSTM that says after each inner step whether to go on."""

from typing import Any

import tensorflow as tf

from cmml_tf.baselines.gradient_based.update_controller import log_and_sign
from cmml_tf.layers.building import build_named


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class StopController(tf.keras.layers.Layer):
    """Probability to stop, from the loss and the gradient norms of every step so far.

    Args:
      units: Hidden units of the LSTM.
    """

    def __init__(self, units: int = 16, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.lstm = tf.keras.layers.LSTMCell(units, name="lstm")
        self.output_layer = tf.keras.layers.Dense(1, name="output")

    def build(self, input_shape: Any) -> None:
        build_named(self.lstm, [None, int(input_shape[-1])])
        build_named(self.output_layer, [None, self.units])
        self.first = [
            self.add_weight(
                name=name,
                shape=[1, self.units],
                initializer=tf.keras.initializers.RandomNormal(0.0, 1.0),
            )
            for name in ("first_hidden", "first_cell")
        ]
        super().build(input_shape)

    def first_state(self, tasks: tf.Tensor) -> list[tf.Tensor]:
        """Hidden and cell state before the first step, float32 [B, units] each."""
        return [tf.repeat(state, tasks, axis=0) for state in self.first]

    def call(self, inputs: tf.Tensor, state: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Loss and gradient norms float32 [B, T] and the state -> logit [B] to stop, new state."""
        hidden, state = self.lstm(log_and_sign(inputs)[0], state)
        return tf.squeeze(self.output_layer(hidden), axis=-1), state

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
