"""What the asked user did inside the support moves the user's factor."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.learned_number import REACH, learned_number


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class OwnClicks(tf.keras.layers.Layer):
    """u + a * sum over the user's own clicks of (v_s - v') / (1 + n_u / k).

    v_s are the factors of the items after the support (`ClickerPosterior`), v' their mean over all
    clicks, n_u the user's own clicks; a, one number for each dimension, and k are learned.
    """

    def build(self, input_shape: Any) -> None:
        """`input_shape`: of the users' factors, [..., d]."""
        initial = tf.keras.initializers.Constant(0.1)
        self.step = self.add_weight(name="step", shape=[int(input_shape[-1])], initializer=initial)
        self.log_enough = learned_number(self, "log_enough", 1.0)
        super().build(input_shape)

    def call(self, user: tf.Tensor, moved: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """The user's factor after the support, float32 [B, Q, d].

        Args:
          user: float32 [B, Q, d].
          moved: float32 [B, Q, d], the sum of v_s - v' over the user's own clicks.
          count: float32 [B, Q, 1], their number.
        """
        enough = 1.0 + count * tf.exp(-REACH * self.log_enough)
        return user + moved * self.step / enough
