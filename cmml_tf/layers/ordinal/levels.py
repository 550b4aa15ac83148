"""A distribution over the levels of a scale, and the answers that it gives.

Least squares asks for the mean of a distribution, the least absolute error for its median.
"""

from collections.abc import Sequence
from itertools import pairwise

import tensorflow as tf

_OUTSIDE = 0.1
"""Probability of either side of an interval, at the most."""


def check_levels(levels: Sequence[float]) -> list[float]:
    """The levels as a list.

    Raises:
      ValueError: There are fewer than two, or they do not ascend.
    """
    found = [float(level) for level in levels]
    if len(found) < 2 or any(b <= a for a, b in pairwise(found)):
        raise ValueError(f"`levels` must be two or more ascending numbers. Received: {found}.")
    return found


def level_weights(rating: tf.Tensor, levels: Sequence[float]) -> tf.Tensor:
    """A rating as the weights of the two levels that it lies between; beyond an end, of that end.

    Args:
      rating: float32 [...].
      levels: L ascending numbers.

    Returns:
      float32 [..., L], which sum to 1.

    Example:

    >>> level_weights(tf.constant([4.0, 2.5]), [1.0, 2.0, 4.0]).numpy()
    array([[0.  , 0.  , 1.  ],
           [0.  , 0.75, 0.25]], dtype=float32)
    """
    level = tf.constant(levels)
    gap = level[1:] - level[:-1]
    above = tf.clip_by_value((rating[..., None] - level[:-1]) / gap, 0.0, 1.0)  # [..., L - 1]
    one = tf.ones_like(above[..., :1])
    return tf.concat([one, above], axis=-1) - tf.concat([above, 0.0 * one], axis=-1)


def mean_level(probability: tf.Tensor, levels: Sequence[float]) -> tf.Tensor:
    """float32 [..., L] -> the mean, float32 [...]."""
    return tf.reduce_sum(probability * tf.constant(levels), axis=-1)


def median_level(probability: tf.Tensor, levels: Sequence[float]) -> tf.Tensor:
    """The median as of grouped data: a level stands for what lies nearer to it than to others.

    Within it the probability is spread evenly; the median is kept on the scale.

    Args:
      probability: float32 [..., L], which sum to 1.
      levels: L ascending numbers.

    Returns:
      float32 [...].

    Example:

    >>> float(median_level(tf.constant([0.25, 0.25, 0.5]), [1.0, 2.0, 3.0]))
    2.5
    """
    middle = [(a + b) / 2 for a, b in pairwise(levels)]
    edges = [2 * levels[0] - middle[0], *middle, 2 * levels[-1] - middle[-1]]
    size = len(levels)
    below = tf.cumsum(probability, axis=-1, exclusive=True)
    place = tf.reduce_sum(tf.cast(below + probability < 0.5, tf.int32), axis=-1)
    chosen = tf.one_hot(tf.minimum(place, size - 1), size)
    missing = tf.reduce_sum(chosen * (0.5 - below), axis=-1)
    share = missing / tf.maximum(tf.reduce_sum(chosen * probability, axis=-1), 1e-9)
    first = tf.reduce_sum(chosen * tf.constant(edges[:-1]), axis=-1)
    width = tf.reduce_sum(chosen * (tf.constant(edges[1:]) - tf.constant(edges[:-1])), axis=-1)
    return tf.clip_by_value(first + share * width, levels[0], levels[-1])


def level_interval(probability: tf.Tensor, levels: Sequence[float]) -> tf.Tensor:
    """The levels between which a rating lies, with at most a tenth below and as much above.

    Args:
      probability: float32 [..., L], which sum to 1.
      levels: L ascending numbers.

    Returns:
      float32 [..., 2], the lowest and the highest level.

    Example:

    >>> level_interval(tf.constant([0.05, 0.55, 0.4]), [1.0, 2.0, 3.0]).numpy()
    array([2., 3.], dtype=float32)
    """
    upto = tf.cumsum(probability, axis=-1)
    size = len(levels)
    ends = []
    # A half of a float's last digits decides nothing.
    for share in (_OUTSIDE - 1e-6, 1.0 - _OUTSIDE - 1e-6):
        place = tf.reduce_sum(tf.cast(upto <= share, tf.int32), axis=-1)
        ends.append(tf.gather(tf.constant(levels), tf.minimum(place, size - 1)))
    return tf.stack(ends, axis=-1)
