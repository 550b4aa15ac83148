"""The order in which a sequential encoder reads a support set."""

import tensorflow as tf


def interleaved(pairs: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Positives and negatives spread evenly over the sequence, each in their own order.

    Not in the paper, which reads the positives and then the negatives: a recurrence has forgotten
    most of the positives when the last negative comes. The order follows from the labels alone, so
    that training and serving agree, whatever order a caller sends and whatever stands behind the
    mask.

    Args:
      pairs: float32 [B, S, d + 2], labels one-hot [positive, negative] in the last two.
      mask: bool [B, S], which pairs are valid.

    Returns:
      Both in the new order, the valid pairs first.

    Example:

    >>> labels = tf.one_hot([[0, 0, 1, 1, 1, 1]], 2)
    >>> ordered, _ = interleaved(labels, tf.ones([1, 6], tf.bool))
    >>> ordered[0, :, 0].numpy()
    array([0., 1., 0., 0., 1., 0.], dtype=float32)
    """
    positive = pairs[..., -2] > 0.5
    rank_positive, count_positive = _ranks(mask & positive)
    rank_negative, count_negative = _ranks(mask & ~positive)
    # The i-th of n stands at (i - 1/2) / n of the sequence; in integers, so that ties are exact.
    place = tf.where(
        positive, (2 * rank_positive - 1) * count_negative, (2 * rank_negative - 1) * count_positive
    )
    order = tf.argsort(tf.where(mask, place, tf.int32.max), axis=1, stable=True)
    return tf.gather(pairs, order, batch_dims=1), tf.gather(mask, order, batch_dims=1)


def _ranks(chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rank of each chosen position, from 1, int32 [B, S], and how many there are [B, 1]."""
    ranks = tf.cumsum(tf.cast(chosen, tf.int32), axis=1)
    return ranks, ranks[:, -1:]
