"""Computing many tasks a few at a time, so that memory does not grow with their number."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

PAIRS_AT_A_TIME = 65_536
"""Pairs whose hidden layers may be in memory at a time: about 5 kB each."""

MATCHES_AT_A_TIME = 2**22
"""Pairs of a query pair and a support pair that are compared at a time: about 40 bytes each."""

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

    loop = not_inlined(grouped)
    alone = tf.less_equal(tf.shape(inputs[0])[0], size)
    values = tf.cond(alone, lambda: tuple(traced(*inputs)), lambda: loop(size, *inputs))
    return tuple(
        tf.ensure_shape(value, spec.shape) for value, spec in zip(values, outputs, strict=True)
    )


def pairs_in_groups(
    function: Callable[..., tf.Tensor],
    context: tf.Tensor,
    support: tf.Tensor,
    query: Sequence[tf.Tensor],
    in_parts: Callable[..., tf.Tensor],
    further: Sequence[int] = (),
) -> tf.Tensor:
    """`function(context, *query)`, which compares each query pair with each support pair.

    So memory grows neither with the tasks nor with query pairs times support pairs.

    Args:
      function: Takes [b, D] and tensors [b, q, ...]; returns float32 [b, q, *further].
      context: float32 [B, D].
      support: int32 scalar, S.
      query: Tensors [B, Q, ...].
      in_parts: `not_inlined(function)`, which parts of a large request are asked with. Shared by
        all uses: each copy in the graph is optimised anew when a version is loaded.
      further: Axes of the answer behind the first two.
    """
    support = tf.maximum(support, 1)
    answer = tf.TensorSpec([None, None, *further], tf.float32)

    def of_tasks(context: tf.Tensor, *query: tf.Tensor) -> tuple[tf.Tensor]:
        def of_pairs(*part: tf.Tensor) -> tuple[tf.Tensor]:
            return (_swapped(in_parts(context, *map(_swapped, part))),)

        tasks = tf.maximum(tf.shape(context)[0], 1)
        size = tf.maximum(MATCHES_AT_A_TIME // (tasks * support), 1)
        return (_swapped(in_groups(of_pairs, [*map(_swapped, query)], size, [answer])[0]),)

    fitting = MATCHES_AT_A_TIME // (tf.maximum(tf.shape(query[0])[1], 1) * support)
    size = tf.maximum(fitting, 1)
    groups = not_inlined(lambda *part: in_groups(of_tasks, part, size, [answer])[0])
    traced = tf.function(function, autograph=False)
    # A usual request is asked once whether it fits, not first by tasks and then by pairs.
    return tf.cond(
        tf.shape(context)[0] <= fitting,
        lambda: traced(context, *query),
        lambda: groups(context, *query),
    )


def not_inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """One operation of the graph, which is rarely run: inlined, it would cost a small request more
    than its checks.
    """
    return tf.function(function, autograph=False, experimental_attributes={"_noinline": True})


def _swapped(value: tf.Tensor) -> tf.Tensor:
    """[a, b, ...] -> [b, a, ...]."""
    return tf.transpose(value, [1, 0, *range(2, value.shape.rank)])
