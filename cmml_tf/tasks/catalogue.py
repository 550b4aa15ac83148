"""The ranking objective: what a user takes, among the whole catalogue."""

from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

TAKEN, KNOWN = 1.0, -1.0
"""Labels of a query: the user takes the item, or has it already, so it is not asked; 0: neither."""
_LEFT_OUT = -1e9


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class CatalogueTask(tf.keras.layers.Layer, tfrs.tasks.Task):
    """Mean of -log softmax of each item that is taken, among all that are not known.

    Not in the paper: the multinomial likelihood of Mult-VAE (Liang et al. 2018).

    Example:

    >>> CatalogueTask()(tf.zeros([1, 3]), tf.constant([[1.0, 0.0, -1.0]])).numpy()
    array([0.6931472], dtype=float32)
    """

    def call(self, scores: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """float32 [B, I] each -> loss of each task, float32 [B]."""
        likelihood = tf.nn.log_softmax(tf.where(label == KNOWN, _LEFT_OUT, scores), axis=1)
        taken = tf.cast(label == TAKEN, tf.float32)
        number = tf.maximum(tf.reduce_sum(taken, axis=1), 1.0)
        return -tf.reduce_sum(likelihood * taken, axis=1) / number

    def get_config(self) -> dict[str, Any]:
        return super().get_config()
