"""Computing many tasks a few at a time, so that memory does not grow with their number.

Each copy of a function in a graph is optimised anew when a version is loaded. So what is usual has
one copy, and what is rare one beside it: a loop of its own, called as one operation.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

PAIRS_AT_A_TIME = 65_536
"""Pairs whose hidden layers may be in memory at a time: about 5 kB each."""

MATCHES_AT_A_TIME = 2**22
"""Pairs of a query pair and a support pair that are compared at a time: about 40 bytes each."""

State = tuple[tf.Tensor, tuple[tf.TensorArray, ...]]
Score = Callable[..., tf.Tensor]
"""Nested tensors [B, ...] and tensors of query pairs [B, Q, ...] -> float32 [B, Q, ...]."""


def tasks_at_a_time(pairs: tf.Tensor) -> tf.Tensor:
    """Tasks of so many pairs each that are computed at a time: int32 scalar, at least 1."""
    return tf.maximum(PAIRS_AT_A_TIME // tf.maximum(pairs, 1), 1)


def in_groups(
    function: Callable[..., tuple[tf.Tensor, ...]],
    inputs: Sequence[tf.Tensor],
    size: int | tf.Tensor,
    outputs: Sequence[tf.TensorSpec],
) -> tuple[tf.Tensor, ...]:
    """`function(*inputs)`, computed for `size` tasks at a time; up to `size` without a loop.

    Args:
      function: Takes tensors [b, ...] and returns tensors [b, ...] of b tasks, each task by itself.
      inputs: Tensors [B, ...].
      size: b; the last group may be smaller.
      outputs: What the function returns, None for b.
    """
    size = tf.convert_to_tensor(size)
    loop = not_inlined(lambda size, *inputs: in_a_loop(function, inputs, size, outputs))
    alone = tf.less_equal(tf.shape(inputs[0])[0], size)
    values = tf.cond(alone, lambda: tuple(function(*inputs)), lambda: loop(size, *inputs))
    return tuple(
        tf.ensure_shape(value, spec.shape) for value, spec in zip(values, outputs, strict=True)
    )


def in_a_loop(
    function: Callable[..., tuple[tf.Tensor, ...]],
    inputs: Sequence[Any],
    size: int | tf.Tensor,
    outputs: Sequence[tf.TensorSpec],
) -> tuple[tf.Tensor, ...]:
    """`in_groups` with a loop however few tasks there are: for what costs more than a loop does.

    Inputs may be nested.
    """
    B = tf.shape(tf.nest.flatten(inputs)[0])[0]
    # Without a task it is computed once, for the shape of its answer.
    groups = tf.maximum((B + size - 1) // size, 1)

    def compute(group: tf.Tensor) -> tuple[tf.Tensor, ...]:
        start = group * size
        return function(*tf.nest.map_structure(lambda one: one[start : start + size], [*inputs]))

    values = _each(compute, groups, outputs)
    return tuple(
        tf.ensure_shape(value, spec.shape) for value, spec in zip(values, outputs, strict=True)
    )


def joined_in_a_loop(
    function: Callable[..., tuple[tf.Tensor, ...]],
    inputs: Sequence[tf.Tensor],
    size: int | tf.Tensor,
    outputs: Sequence[tf.TensorSpec],
) -> tuple[tf.Tensor, ...]:
    """`in_a_loop` of small answers of known width: of one group it costs little.

    The answer of each group is put behind those before. Without a task nothing is computed.
    """
    B = tf.shape(inputs[0])[0]

    def step(start: tf.Tensor, before: tuple[tf.Tensor, ...]) -> tuple[Any, ...]:
        values = function(*(one[start : start + size] for one in inputs))
        both = zip(before, values, strict=True)
        return start + size, tuple(tf.concat(two, axis=0) for two in both)

    nothing = tuple(tf.zeros([0, *spec.shape[1:]], spec.dtype) for spec in outputs)
    _, values = tf.while_loop(
        lambda start, _: start < B,
        step,
        (0, nothing),
        shape_invariants=(tf.TensorShape([]), tuple(spec.shape for spec in outputs)),
        parallel_iterations=1,
    )
    return values


def matched_some_at_a_time(
    score: Score, support_pairs: Callable[[Any], tf.Tensor], further: Sequence[int] = ()
) -> Score:
    """`score`, which compares each query pair with each support pair.

    So memory grows neither with the tasks nor with query pairs times support pairs.

    Args:
      score: Takes nested tensors [b, ...] and tensors [b, q, ...]; gives float32 [b, q, *further].
      support_pairs: S of what the score takes first, int32 scalar.
      further: Axes of the answer behind the first two.
    """

    def in_parts(adapted: Any, *query: tf.Tensor) -> tf.Tensor:
        B, Q = tf.unstack(tf.shape(query[0])[:2])
        support = tf.maximum(support_pairs(adapted), 1)
        # Some whole tasks at a time, or some pairs of one task.
        tasks = tf.maximum(MATCHES_AT_A_TIME // (tf.maximum(Q, 1) * support), 1)
        pairs = tf.maximum(tf.minimum(MATCHES_AT_A_TIME // support, Q), 1)
        parts = tf.maximum((Q + pairs - 1) // pairs, 1)

        def compute(part: tf.Tensor) -> tuple[tf.Tensor]:
            task, pair = part // parts * tasks, part % parts * pairs
            some = tf.nest.map_structure(lambda one: one[task : task + tasks], adapted)
            own = [one[task : task + tasks, pair : pair + pairs] for one in query]
            return (tf.reshape(score(some, *own), [-1, *further]),)

        flat = tf.TensorSpec([None, *further], tf.float32)
        (found,) = _each(compute, (B + tasks - 1) // tasks * parts, [flat])
        return tf.reshape(found, tf.stack([B, Q, *further]))

    rarely = not_inlined(in_parts)

    def some_at_a_time(adapted: Any, *query: tf.Tensor) -> tf.Tensor:
        B, Q = tf.unstack(tf.shape(query[0])[:2])
        support = tf.maximum(support_pairs(adapted), 1)
        found = tf.cond(
            tf.less_equal(B, MATCHES_AT_A_TIME // (tf.maximum(Q, 1) * support)),
            lambda: score(adapted, *query),
            lambda: rarely(adapted, *query),
        )
        return tf.ensure_shape(found, [None, None, *further])

    return some_at_a_time


def columns_in_a_loop(
    score: Callable[[tf.Tensor], tf.Tensor], columns: tf.Tensor, most: int
) -> tf.Tensor:
    """`score(columns)`, for some columns at a time.

    Args:
      score: Takes int64 [B, n] and returns float32 [B, n].
      columns: int64 [B, N].
      most: The largest n.
    """
    size = tf.minimum(most, PAIRS_AT_A_TIME // tf.maximum(tf.shape(columns)[0], 1))

    def of_columns(some: tf.Tensor) -> tuple[tf.Tensor]:
        return (tf.transpose(score(tf.transpose(some))),)

    answer = tf.TensorSpec([None, None], tf.float32)
    (found,) = in_a_loop(of_columns, [tf.transpose(columns)], tf.maximum(size, 1), [answer])
    return tf.transpose(found)


def traced_once(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, of which a graph has one copy that all call.

    A module that holds it does not save it with itself.
    """
    traced = tf.function(method, autograph=False)
    return lambda *arguments: traced(*arguments)


def not_inlined(
    function: Callable[..., Any],
) -> Callable[..., Any]:
    """One operation of the graph. Inlined, what is rarely run would cost a small request more than
    its checks.
    """
    return tf.function(function, autograph=False, experimental_attributes={"_noinline": True})


def _each(
    compute: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
    count: tf.Tensor,
    outputs: Sequence[tf.TensorSpec],
) -> tuple[tf.Tensor, ...]:
    """What `compute` gives of 0, 1, ..., `count` - 1, concatenated."""
    empty = tuple(
        tf.TensorArray(spec.dtype, count, infer_shape=False, element_shape=spec.shape)
        for spec in outputs
    )

    def step(place: tf.Tensor, arrays: tuple[tf.TensorArray, ...]) -> State:
        values = compute(place)
        written = (array.write(place, value) for array, value in zip(arrays, values, strict=True))
        return place + 1, tuple(written)

    _, arrays = tf.while_loop(
        lambda place, _: tf.less(place, count), step, (0, empty), parallel_iterations=1
    )
    return tuple(array.concat() for array in arrays)
