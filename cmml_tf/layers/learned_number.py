"""Learned numbers that have far to go."""

from collections.abc import Sequence

import tensorflow as tf

REACH = 10.0
"""Adam moves every weight by about the learning rate a step, so these are stored divided by it."""


def learned_number(
    layer: tf.keras.layers.Layer, name: str, first: float, shape: Sequence[int] = ()
) -> tf.Variable:
    """A weight of `layer`; its value is `REACH` times the variable, and `first` at first."""
    initializer = tf.keras.initializers.Constant(first / REACH)
    return layer.add_weight(name=name, shape=list(shape), initializer=initializer)
