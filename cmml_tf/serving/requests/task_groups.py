"""Computing many tasks a few at a time, so that memory does not grow with their number."""

from collections.abc import Callable, Sequence

import tensorflow as tf

PAIRS_AT_A_TIME = 65_536
"""Pairs whose hidden layers may be in memory at a time: about 5 kB each."""

State = tuple[tf.Tensor, tuple[tf.TensorArray, ...]]


def tasks_at_a_time(pairs: tf.Tensor) -> tf.Tensor:
    """Tasks of so many pairs each that are computed at a time: int32 scalar, at least 1."""
    return tf.maximum(PAIRS_AT_A_TIME // tf.maximum(pairs, 1), 1)


def in_groups(
    function: Callable[..., tuple[tf.Tensor, ...]],
    inputs: Sequence[tf.Tensor],
    size: int | tf.Tensor,
    outputs: Sequence[tf.TensorSpec],
) -> tuple[tf.Tensor, ...]:
    """`function(*inputs)`, computed for `size` tasks at a time.

    Args:
      function: Takes tensors [b, ...] and returns tensors [b, ...] of b tasks, each task by itself.
      inputs: Tensors [B, ...].
      size: b; the last group may be smaller. Up to `size` tasks are computed without a loop.
      outputs: What the function returns, None for b.
    """
    traced = tf.function(function, autograph=False)
    size = tf.convert_to_tensor(size)

    def grouped(size: tf.Tensor, *inputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        B = tf.shape(inputs[0])[0]
        groups = (B + size - 1) // size
        empty = tuple(
            tf.TensorArray(spec.dtype, groups, infer_shape=False, element_shape=spec.shape)
            for spec in outputs
        )

        def compute(group: tf.Tensor, arrays: tuple[tf.TensorArray, ...]) -> State:
            start = group * size
            values = traced(*(value[start : start + size] for value in inputs))
            written = (
                array.write(group, value) for array, value in zip(arrays, values, strict=True)
            )
            return group + 1, tuple(written)

        _, arrays = tf.while_loop(
            lambda group, _: tf.less(group, groups), compute, (0, empty), parallel_iterations=1
        )
        return tuple(array.concat() for array in arrays)

    # As one operation that is not run: inlined, it would cost a small request more than its checks.
    loop = tf.function(grouped, autograph=False, experimental_attributes={"_noinline": True})
    alone = tf.less_equal(tf.shape(inputs[0])[0], size)
    values = tf.cond(alone, lambda: tuple(traced(*inputs)), lambda: loop(size, *inputs))
    return tuple(
        tf.ensure_shape(value, spec.shape) for value, spec in zip(values, outputs, strict=True)
    )
