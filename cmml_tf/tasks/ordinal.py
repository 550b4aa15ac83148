"""The objective of an ordinal model: the level that was given, and its distance from the mean."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class OrdinalTask(tf.keras.layers.Layer, tfrs.tasks.Task):
    """Cross-entropy of the levels plus a share of the squared error of their mean.

    Args:
      levels: Of the scale, L numbers.
      squared_weight: What the squared error counts, in squares of a rating.

    Raises:
      ValueError: `squared_weight` is negative.

    Example:

    >>> logits, label = tf.zeros([1, 1, 2]), tf.constant([[[0.0, 1.0]]])
    >>> OrdinalTask([1.0, 2.0])(logits, label).numpy()  # log 2 + 0.5 * 0.5^2
    array([0.8181472], dtype=float32)
    """

    def __init__(self, levels: Sequence[float], squared_weight: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if squared_weight < 0:
            raise ValueError(
                f"`squared_weight` must be zero or more. Received: squared_weight={squared_weight}."
            )
        self.levels = [float(level) for level in levels]
        self.squared_weight = squared_weight

    def call(self, logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Logits and weights of levels, float32 [B, Q, L] each -> loss of each task, [B]."""
        entropy = tf.nn.softmax_cross_entropy_with_logits(label, logits)
        error = tf.linalg.matvec(tf.nn.softmax(logits) - label, tf.constant(self.levels))
        return tf.reduce_mean(entropy + self.squared_weight * tf.square(error), axis=1)

    def get_config(self) -> dict[str, Any]:
        own = {"levels": self.levels, "squared_weight": self.squared_weight}
        return {**super().get_config(), **own}
