"""The scenario-specific objective: positives above negatives of the same user (equation 4)."""

from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

from cmml_tf.config import RankingLoss


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class HingeTask(tf.keras.layers.Layer, tfrs.tasks.Task):
    """Mean of max(0, margin - s+ + s-) over the positive/negative pairs of each task.

    The first half of the scores are positives; the second half, in the same order, are their
    negatives.

    Args:
      margin: The paper's 1.

    Example:

    >>> HingeTask()(tf.constant([[2.0, 0.5, 0.0, 0.0]])).numpy()
    array([0.25], dtype=float32)
    """

    def __init__(self, margin: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, scores: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """float32 [B, Q] with Q even -> loss of each task, float32 [B]; the order is the label."""
        del label
        return tf.reduce_mean(tf.nn.relu(self.margin - _leads(scores)), axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class LogisticTask(tf.keras.layers.Layer, tfrs.tasks.Task):
    """Mean of log(1 + exp(s- - s+)) over the positive/negative pairs of each task.

    Not in the paper: the loss of Bayesian personalised ranking (Rendle et al. 2009), minus the log
    of the probability that the user prefers the positive. It has no margin behind which a pair no
    longer counts. Scores come in the order that `HingeTask` takes.

    Example:

    >>> LogisticTask()(tf.constant([[0.0, 0.0]])).numpy()
    array([0.6931472], dtype=float32)
    """

    def call(self, scores: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """float32 [B, Q] with Q even -> loss of each task, float32 [B]; the order is the label."""
        del label
        return tf.reduce_mean(tf.nn.softplus(-_leads(scores)), axis=1)


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class SoftmaxTask(tf.keras.layers.Layer, tfrs.tasks.Task):
    """Mean of -log softmax of each positive among itself and its N negatives.

    Not in the paper: sampled softmax; N = 1 is `LogisticTask`. The first P = Q / (1 + N) scores are
    positives; those of place P n + k, n from 1, are negatives of positive k. The label of a
    positive is how much it counts.

    Args:
      negatives: N.

    Example:

    >>> SoftmaxTask(negatives=2)(tf.constant([[0.0, 0.0, 0.0]])).numpy()
    array([1.0986123], dtype=float32)
    """

    def __init__(self, negatives: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if negatives < 1:
            raise ValueError(
                f"`negatives` must be a positive integer. Received: negatives={negatives}."
            )
        self.negatives = negatives

    def call(self, scores: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """float32 [B, P (1 + N)] -> loss of each task, float32 [B]; without labels all count 1."""
        shape = tf.shape(scores)
        positives = shape[1] // (1 + self.negatives)
        each = tf.reshape(scores, [shape[0], 1 + self.negatives, positives])
        loss = tf.reduce_logsumexp(each, axis=1) - each[:, 0]
        return tf.reduce_mean(loss if label is None else loss * label[:, :positives], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negatives": self.negatives}


def ranking_task(loss: RankingLoss, negatives: int = 1) -> HingeTask | LogisticTask | SoftmaxTask:
    """The task of an `EpisodeConfig.loss`, and its `query_negatives`.

    Example:

    >>> ranking_task("hinge").margin
    1.0
    """
    if loss == "softmax":
        return SoftmaxTask(negatives)
    return LogisticTask() if loss == "logistic" else HingeTask()


def _leads(scores: tf.Tensor) -> tf.Tensor:
    """What each positive is ahead of its negative, [B, Q / 2]."""
    positive, negative = tf.split(scores, 2, axis=1)
    return positive - negative
