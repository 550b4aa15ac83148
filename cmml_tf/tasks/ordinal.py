"""The objective of an ordinal model: the level that was given, and its distance from the mean."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

_SQUARED_WEIGHT = 0.5
"""What the squared error counts, in squares of a rating."""


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class OrdinalTask(tf.keras.layers.Layer, tfrs.tasks.Task):
    """Cross-entropy of the levels plus half of the squared error of their mean.

    Args:
      levels: Of the scale, L numbers.

    Example:

    >>> logits, label = tf.zeros([1, 1, 2]), tf.constant([[[0.0, 1.0]]])
    >>> OrdinalTask([1.0, 2.0])(logits, label).numpy()  # log 2 + 0.5 * 0.5^2
    array([0.8181472], dtype=float32)
    """

    def __init__(self, levels: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = [float(level) for level in levels]

    def call(self, logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Logits and weights of levels, float32 [B, Q, L] each -> loss of each task, [B]."""
        entropy = tf.nn.softmax_cross_entropy_with_logits(label, logits)
        error = tf.linalg.matvec(tf.nn.softmax(logits) - label, tf.constant(self.levels))
        return tf.reduce_mean(entropy + _SQUARED_WEIGHT * tf.square(error), axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "levels": self.levels}
