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

    Of a large catalogue the query is all that is taken and a sample of the rest. The sum over the
    catalogue is then the taken items' own and an estimate of the others': of item j, which is
    expected E_j times in the sample, the score counts less log E_j (the logQ correction, Bengio and
    Senecal 2008), so that the estimate is right in the mean.

    Example:

    >>> task = CatalogueTask()
    >>> task(tf.zeros([1, 3]), tf.constant([[1.0, 0.0, -1.0]])).numpy()
    array([0.6931472], dtype=float32)

    One item of the sample that stands for three:

    >>> log_expected = tf.math.log([[1.0, 1 / 3]])
    >>> task(tf.zeros([1, 2]), tf.constant([[1.0, 0.0]]), log_expected).numpy()
    array([1.3862944], dtype=float32)
    """

    def call(
        self, scores: tf.Tensor, label: tf.Tensor, log_expected: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Loss of each task, float32 [B].

        Args:
          scores: float32 [B, Q].
          label: float32 [B, Q], `TAKEN`, `KNOWN` or 0.
          log_expected: float32 [B, Q], log E; read where the label is 0. None: the query is the
            whole catalogue.
        """
        if log_expected is not None:
            scores -= tf.where(label == 0, log_expected, 0.0)
        likelihood = tf.nn.log_softmax(tf.where(label == KNOWN, _LEFT_OUT, scores), axis=1)
        taken = tf.cast(label == TAKEN, tf.float32)
        number = tf.maximum(tf.reduce_sum(taken, axis=1), 1.0)
        return -tf.reduce_sum(likelihood * taken, axis=1) / number

    def get_config(self) -> dict[str, Any]:
        return super().get_config()
