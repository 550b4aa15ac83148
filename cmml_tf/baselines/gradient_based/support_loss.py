"""The loss that gradient-based systems lower on a task's support set."""

import tensorflow as tf

from cmml_tf.types import Support


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
def support_hinge(scores: tf.Tensor, support: Support, margin: float = 1.0) -> tf.Tensor:
    """Hinge loss (equation 4) over the support pairs of each task.

    Mean of max(0, margin - s+ + s-) over every positive with every negative of the same user.

    Args:
      scores: float32 [B, S], of the support pairs.
      support: `Support` of the B tasks.
      margin: The paper's 1.

    Returns:
      float32 [B]; 0 for a task without such a couple of pairs.
    """
    valid = tf.sequence_mask(support.length, tf.shape(support.user)[1])
    positive = valid & (support.label > 0.5)
    couple = (
        (support.user[:, :, None] == support.user[:, None, :])
        & positive[:, :, None]
        & (valid & ~positive)[:, None, :]
    )  # [B, S, S]
    losses = tf.nn.relu(margin - scores[:, :, None] + scores[:, None, :])
    weight = tf.cast(couple, tf.float32)
    return tf.math.divide_no_nan(
        tf.reduce_sum(tf.where(couple, losses, 0.0), axis=[1, 2]), tf.reduce_sum(weight, [1, 2])
    )


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
def support_squared_error(scores: tf.Tensor, support: Support) -> tf.Tensor:
    """Mean squared error (equation 5) over the support ratings of each task.

    Args:
      scores: float32 [B, S], of the support pairs.
      support: `Support` of the B tasks; what lies behind a length is not read.

    Returns:
      float32 [B]; 0 for a task without a rating.
    """
    valid = tf.sequence_mask(support.length, tf.shape(scores)[1])
    error = tf.where(valid, scores - support.label, 0.0)
    count = tf.cast(support.length, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(tf.square(error), axis=1), count)
