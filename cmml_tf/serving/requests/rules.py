"""Rules inside the served graph: InvalidArgument with a sentence that names the input.

A request that passes pays for one comparison of booleans; the sentence is only put together for
one that fails.

A `Rule` holds for a whole call. A `RowRule` holds for each task of its own: a task that breaks one
is not valid, and the call only fails where no task is valid, so that one caller's mistake does not
reach the requests that a server merged with it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from cmml_tf.serving.requests.task_groups import not_inlined

Tensors = dict[str, tf.Tensor]
Sentence = Callable[[], tf.Tensor]


class Rule(NamedTuple):
    """What a call must be.

    Attributes:
      holds: bool scalar.
      sentence: What to say where it does not hold.
    """

    holds: tf.Tensor
    sentence: Sentence


class RowRule(NamedTuple):
    """What each task must be.

    Attributes:
      holds: bool [B].
      sentence: What to say where it does not hold for a task.
    """

    holds: tf.Tensor
    sentence: Sentence


def after(rules: Sequence[Rule], inputs: Tensors) -> Tensors:
    """`inputs`, which cannot be read before all rules hold; the first that does not is named."""
    holds = tf.stack([rule.holds for rule in rules])
    return _unless(tf.reduce_all(holds), holds, [rule.sentence for rule in rules], inputs)


def after_at_once(rules: Sequence[Rule], inputs: Tensors) -> Tensors:
    """`after`, where hardly any request comes: a sentence is put together in any case."""
    asserted = _assert([rule.holds for rule in rules], [rule.sentence for rule in rules])
    return _behind(asserted, inputs)


def after_check(plain: tf.Tensor, check: Callable[[Tensors], Tensors], inputs: Tensors) -> Tensors:
    """`inputs`, which cannot be read before `check` has let them pass.

    Args:
      plain: bool scalar, that it would, so that it need not run.
      check: Returns its inputs by `after_at_once`.
      inputs: Of any rank and size.
    """

    @not_inlined
    def checked(*values: tf.Tensor) -> tf.Tensor:
        passed = check(dict(zip(inputs, values, strict=True)))
        with tf.control_dependencies([*passed.values()]):
            return tf.constant(True)

    return _behind(
        tf.cond(plain, lambda: tf.constant(True), lambda: checked(*inputs.values())), inputs
    )


def after_rows(rules: Sequence[RowRule], inputs: Tensors) -> tuple[Tensors, tf.Tensor]:
    """`inputs`, and which tasks keep all rules, bool [B]; at least one does, or the call fails."""
    holds = tf.stack([rule.holds for rule in rules])  # [rules, B]
    valid = tf.reduce_all(holds, axis=0)
    # A call without tasks breaks no rule.
    some = tf.reduce_any(valid) | tf.equal(tf.size(valid), 0)
    each = tf.reduce_all(holds, axis=1)
    return _unless(some, each, [rule.sentence for rule in rules], inputs), valid


def _unless(
    passed: tf.Tensor, holds: tf.Tensor, sentences: Sequence[Sentence], inputs: Tensors
) -> Tensors:
    @not_inlined
    def fail(holds: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([_assert(holds, sentences)]):
            return tf.constant(False)

    return _behind(tf.cond(passed, lambda: tf.constant(True), lambda: fail(holds)), inputs)


def _assert(holds: tf.Tensor | Sequence[tf.Tensor], sentences: Sequence[Sentence]) -> tf.Operation:
    first = tf.argmin(tf.cast(holds, tf.int32))
    said = tf.stack([sentence() for sentence in sentences])[first]
    return tf.debugging.Assert(tf.reduce_all(holds), [said])


def _behind(passed: tf.Tensor | tf.Operation, inputs: Tensors) -> Tensors:
    with tf.control_dependencies([passed]):
        return {name: tf.identity(value) for name, value in inputs.items()}


def is_finite(values: tf.Tensor) -> tf.Tensor:
    """As `tf.math.is_finite`, which takes one number after the other: of a context, a quarter of
    the time of its request.
    """
    return tf.abs(values) <= values.dtype.max


def where_valid(valid: tf.Tensor, value: tf.Tensor, instead: tf.Tensor) -> tf.Tensor:
    """`value` [B, ...] with the scalar `instead` in the tasks that are not valid, bool [B]."""
    beside = (slice(None), *[tf.newaxis] * (value.shape.rank - 1))
    return tf.where(valid[beside], value, instead)


def first_refused(values: tf.Tensor, accepted: tf.Tensor) -> tf.Tensor:
    """The first of the values that are not accepted."""
    index = tf.argmin(tf.cast(tf.reshape(accepted, [-1]), tf.int32))
    return tf.gather(tf.reshape(values, [-1]), index)


def shape_text(shape: tf.Tensor) -> tf.Tensor:
    """`[2, 5]`."""
    return tf.strings.join(
        ["[", tf.strings.reduce_join(tf.strings.as_string(shape), separator=", "), "]"]
    )


def sentence(*parts: str | tf.Tensor) -> tf.Tensor:
    """The parts as one text, with a full stop."""

    def text(part: str | tf.Tensor) -> str | tf.Tensor:
        is_text = isinstance(part, str) or part.dtype == tf.string
        return part if is_text else tf.strings.as_string(part)

    return tf.strings.join([*(text(part) for part in parts), "."])
