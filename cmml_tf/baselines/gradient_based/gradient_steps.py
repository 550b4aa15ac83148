"""The inner loop of gradient-based meta-learning: all tasks of a batch descend at once."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def gradient_steps(
    loss: Callable[[list[tf.Tensor]], tf.Tensor],
    weights: Sequence[tf.Tensor],
    learning_rate: float,
    steps: int,
    second_order: bool,
) -> list[tf.Tensor]:
    """Plain gradient descent on each task's loss, from weights of its own (MAML's inner loop).

    Args:
      loss: Weights to the loss of each task [B], which depends on that task's weights alone.
      weights: float32 [B, ...] each.
      learning_rate: Step size.
      steps: How many.
      second_order: A tape around this call sees through the gradients; false: they are constants
        to it (first-order MAML).

    Returns:
      The weights behind the last step.
    """
    weights = list(weights)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            # Of a sum over tasks, each task's gradient is that of its own loss.
            total = tf.reduce_sum(loss(weights))
        gradients = map(tf.convert_to_tensor, tape.gradient(total, weights))
        if not second_order:
            gradients = map(tf.stop_gradient, gradients)
        weights = [
            weight - learning_rate * gradient
            for weight, gradient in zip(weights, gradients, strict=True)
        ]
    return weights
