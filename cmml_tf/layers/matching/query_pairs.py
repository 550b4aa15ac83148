"""Query pairs as pairs, or as users and items that broadcast to pairs.

What is of a user or of an item alone is then computed once for each, and not for each pair: users
[B, U, 1] and items [B, 1, I] are a grid of U x I pairs; users [B, 1, P] and items [B, N, P] are P
users with N items each. Users and items [B, Q] are Q pairs. Axes of length 1 that broadcast must
be known when the graph is made.
"""

from collections.abc import Sequence

import tensorflow as tf


def beside(of_task: tf.Tensor, of_pairs: tf.Tensor) -> tf.Tensor:
    """Numbers of a task [B, n] with axes of length 1, such that they broadcast to [B, ..., n]."""
    between = (tf.newaxis,) * (len(of_pairs.shape) - 2)
    return of_task[(slice(None), *between)]


def by_task(rows: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Rows times the matrix of their task: float32 [B, ..., m] and [B, m, n] -> [B, ..., n]."""
    if len(rows.shape) == 4:
        matrix = matrix[:, None]
    return tf.matmul(rows, matrix)


def summed_products(of_user: tf.Tensor, of_item: tf.Tensor) -> tf.Tensor:
    """<x, y> of each pair: float32 [B, ..., n] each, which broadcast -> [B, ..., 1].

    Example:

    >>> of_user, of_item = tf.ones([2, 3, 1, 5]), tf.ones([2, 1, 4, 5])
    >>> summed_products(of_user, of_item).shape.as_list()
    [2, 3, 4, 1]
    """
    # A grid of one user is a sum: as a product of matrices it would take longer.
    if of_user.shape.rank == 4 and of_user.shape[2] == of_item.shape[1] == 1 != of_user.shape[1]:
        return tf.matmul(of_user[:, :, 0], of_item[:, 0], transpose_b=True)[..., None]
    return tf.reduce_sum(of_user * of_item, axis=-1, keepdims=True)


def with_first(values: tf.Tensor, number: float) -> tf.Tensor:
    """[..., n] -> [..., n + 1], the first of them this number."""
    places = [[0, 0]] * (len(values.shape) - 1) + [[1, 0]]
    return tf.pad(values, places, constant_values=number)


def widened(numbers: tf.Tensor, pair: tf.Tensor) -> tf.Tensor:
    """What broadcasts to the axes of `pair` but the last, with these axes."""
    axes = zip(numbers.shape[:-1], pair.shape[:-1], strict=True)
    narrower = any(own == 1 != wanted for own, wanted in axes)
    return tf.zeros_like(pair) + numbers if narrower else numbers


def columns(pair: tf.Tensor, numbers: Sequence[tf.Tensor]) -> tf.Tensor:
    """Numbers of tasks, users, items and pairs as columns: float32 [B, ..., len(numbers)].

    Args:
      pair: float32 [B, ..., 1], a number of each pair.
      numbers: Each broadcasts to its shape.
    """
    wide = [widened(one, pair) for one in numbers]
    if pair.shape.rank != 4 or pair.shape[1] == 1:
        return tf.concat(wide, axis=-1)
    # Of many users: to copy number by number takes longer than to transpose what stands in rows.
    rows = tf.reshape(tf.concat(wide, axis=0), [len(wide), -1])
    shape = tf.concat([tf.shape(pair)[:-1], [len(wide)]], axis=0)
    found = tf.reshape(tf.transpose(rows), shape)
    found.set_shape([*pair.shape[:-1], len(wide)])
    return found
