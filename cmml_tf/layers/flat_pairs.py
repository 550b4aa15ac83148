"""Dense layers on pairs of all tasks at once, as one matrix.

On a tensor of three axes a dense layer is a `Tensordot` of eleven operations, which also keeps
product, bias and activation from being computed as one. In a request each operation costs more than
its numbers.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def on_flat_pairs(function: Callable[..., Any], *inputs: tf.Tensor) -> Any:
    """`function(*inputs)`, whose tensors are matrices while it computes.

    Args:
      function: Takes tensors [N, d] and returns nested ones [N, ...], row by row.
      inputs: Tensors [..., d] of the same leading axes.

    Returns:
      What the function does, [..., ...] with these leading axes.

    Example:

    >>> on_flat_pairs(lambda x: (x, x[:, 0]), tf.zeros([2, 3, 4]))[1].shape.as_list()
    [2, 3]
    """
    tensors = [tf.convert_to_tensor(one) for one in inputs]
    first = tensors[0]
    if first.shape.rank == 2:
        return function(*tensors)
    known = first.shape[:-1]
    if known.as_list().count(None) > 1:
        leading = tf.shape(first)[:-1]
    else:
        # The one that is not known follows from the others.
        leading = tf.constant([-1 if axis is None else axis for axis in known])
    flat = function(*(tf.reshape(one, [-1, one.shape[-1]]) for one in tensors))

    def unflat(value: tf.Tensor) -> tf.Tensor:
        own = value.shape[1:]
        shape = tf.concat([leading, own], axis=0) if own.rank else leading
        value = tf.reshape(value, shape)
        value.set_shape(known.concatenate(own))
        return value

    return tf.nest.map_structure(unflat, flat)
