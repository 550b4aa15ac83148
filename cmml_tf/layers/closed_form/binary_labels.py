"""Positives and negatives as the targets of a ridge regression, in numbers that are learned."""

import tensorflow as tf

from cmml_tf.layers.learned_number import REACH, learned_number

_LEAST_PENALTY = 0.1


def add_label_numbers(layer: tf.keras.layers.Layer) -> None:
    """Weights of a layer that is being built: n, q, m and p of `binary_targets`."""
    layer.negative_target = learned_number(layer, "negative_target", 0.5)
    layer.negative_log_weight = learned_number(layer, "negative_log_weight", 0.0)
    layer.base_share = learned_number(layer, "base_share", 0.5)
    layer.log_penalty = learned_number(layer, "log_penalty", 2.3)


def binary_targets(
    layer: tf.keras.layers.Layer, positive: tf.Tensor, negative: tf.Tensor, base: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Target t, weight c and penalty p of a regression.

    t is 1 for a positive and -n for a negative, less m times the pair's score without context; c is
    1 for a positive and q for a negative.

    Args:
      layer: Holds the numbers.
      positive, negative: float32 [B, S], 1 where a pair is that, else 0.
      base: float32 [B, S], scores without context.

    Returns:
      float32 [B, S], [B, S] and [].
    """
    target = positive - REACH * layer.negative_target * negative
    target -= REACH * layer.base_share * base
    weight = positive + tf.exp(REACH * layer.negative_log_weight) * negative
    return target, weight, tf.exp(REACH * layer.log_penalty) + _LEAST_PENALTY
