"""The user-specific objective: predicted against true ratings of the query (equation 5)."""

from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RatingTask(tf.keras.layers.Layer, tfrs.tasks.Task):
    """Mean squared, or mean absolute, error over the query ratings of each task.

    The absolute error is what MAE reports; its best prediction is the median, not the mean.

    Args:
      loss: `squared` (the paper's) or `absolute`.

    Raises:
      ValueError: `loss` is neither of the two.

    Example:

    >>> RatingTask()(tf.constant([[3.0, 5.0]]), tf.constant([[4.0, 5.0]])).numpy()
    array([0.5], dtype=float32)
    """

    def __init__(self, loss: str = "squared", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if loss not in ("squared", "absolute"):
            raise ValueError(f"`loss` must be squared or absolute. Received: loss={loss!r}.")
        self.loss = loss

    def call(self, scores: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """float32 [B, Q] each -> loss of each task, float32 [B]."""
        error = scores - label
        per_rating = tf.square(error) if self.loss == "squared" else tf.abs(error)
        return tf.reduce_mean(per_rating, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "loss": self.loss}
