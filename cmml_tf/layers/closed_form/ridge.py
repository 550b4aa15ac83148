"""Ridge regression solved in the graph, for many small systems at once."""

import tensorflow as tf


def solve_ridge(
    x: tf.Tensor, target: tf.Tensor, weight: tf.Tensor, penalty: tf.Tensor
) -> tf.Tensor:
    """w = argmin sum_i c_i (t_i - <x_i, w>)^2 + sum_f p_f w_f^2, one system a task.

    By a Cholesky factorisation of the F normal equations; gradients pass through it. No row of
    weight above 0 gives w = 0. The sums and the factorisation are in double precision: in single
    precision the factorisation of 3,000 equal pairs fails, and its NaN would be a score.

    Args:
      x: float32 [B, S, F], features.
      target: float32 [B, S], t.
      weight: float32 [B, S], c, zero or more; where it is 0, features and target must be finite.
      penalty: float32 [F], or a scalar that is the same for all, p, above 0.

    Returns:
      float32 [B, F].

    Example:

    >>> x, one = tf.constant([[[1.0], [1.0]]]), tf.constant([[1.0, 1.0]])
    >>> solve_ridge(x, target=one, weight=one, penalty=tf.constant(2.0)).numpy()
    array([[0.5]], dtype=float32)
    """
    x, target, weight, penalty = (
        tf.cast(value, tf.float64) for value in (x, target, weight, penalty)
    )
    weighted = weight[..., None] * x
    gram = tf.matmul(weighted, x, transpose_a=True)
    gram += tf.linalg.diag(tf.broadcast_to(penalty, [x.shape[-1]]))
    moment = tf.matmul(weighted, target[..., None], transpose_a=True)
    solution = tf.linalg.cholesky_solve(tf.linalg.cholesky(gram), moment)
    return tf.cast(tf.squeeze(solution, axis=-1), tf.float32)
