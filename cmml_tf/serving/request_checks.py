"""Checks of a request inside the served graph: InvalidArgument with a sentence naming the input.

A request that passes pays for one comparison of booleans; the sentence is only put together for
one that fails. The shapes come first, since checks of values rely on them.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

Tensors = dict[str, tf.Tensor]


class _Rule(NamedTuple):
    holds: tf.Tensor
    sentence: Callable[[], tf.Tensor]


def checked_support(inputs: Tensors) -> Tensors:
    """The same support tensors, readable only after all checks of them.

    Args:
      inputs: `support_user_id`, `support_item_id`, `support_label` [B, S], `support_length` [B];
        further inputs pass through.
    """
    reference = "support_user_id"
    rules = [_same_shape(inputs, name, reference) for name in ("support_item_id", "support_label")]
    rules.append(_same_rows(inputs, "support_length", reference))
    inputs = _after(rules, inputs)
    label, length = inputs["support_label"], inputs["support_length"]
    S = tf.shape(inputs[reference])[1]
    in_range = (length >= 0) & (length <= S)
    # A length out of range selects all or nothing here, which does no harm.
    read = tf.sequence_mask(length, S)  # [B, S]
    finite = tf.math.is_finite(label) | ~read
    return _after(
        [
            _length_in_range(length, in_range, S),
            _finite("support_label", label, finite, " within `support_length`"),
        ],
        inputs,
    )


def checked_query(inputs: Tensors, reference: str) -> Tensors:
    """The same tensors, readable only after the checks of `query_user_id`, `query_item_id` [B, Q].

    `reference` names the input that gives B.
    """
    return _after(
        [
            _same_rows(inputs, "query_user_id", reference),
            _same_shape(inputs, "query_item_id", "query_user_id"),
        ],
        inputs,
    )


def checked_user(inputs: Tensors, reference: str) -> Tensors:
    """The same tensors, readable only after the check of `user_id` [B]; `reference` gives B."""
    return _after([_same_rows(inputs, "user_id", reference)], inputs)


def checked_examples(inputs: Tensors) -> Tensors:
    """The same tensors, readable only after the check that `inputs` [N] holds an Example."""
    some = tf.size(inputs["inputs"]) > 0
    return _after([_Rule(some, lambda: _sentence("`inputs` must hold an Example"))], inputs)


def checked_lists(inputs: Tensors, lengths: Tensors, reference: str) -> Tensors:
    """The same tensors, readable only after the check that lists of an Example are equally long.

    Args:
      inputs: Any.
      lengths: Values that each list has in each Example, [N] by name; N at least 1.
      reference: The list that the others are compared with.
    """
    expected = lengths[reference]
    return _after(
        [_same_length(name, lengths[name], reference, expected) for name in lengths], inputs
    )


def _same_length(name: str, received: tf.Tensor, reference: str, expected: tf.Tensor) -> _Rule:
    same = received == expected
    return _Rule(
        tf.reduce_all(same),
        lambda: _sentence(
            f"`{name}` must hold as many values as `{reference}` in each Example. Received: ",
            _first(received, same),
            " for ",
            _first(expected, same),
        ),
    )


def checked_ratings(
    label: tf.Tensor, length: tf.Tensor, lowest: float, highest: float
) -> tf.Tensor:
    """`support_label` [B, S], readable only after a check that the ratings are on the scale.

    Args:
      label: Ratings; behind `length` there may be anything.
      length: int32 [B].
      lowest, highest: Ends of the scale.
    """
    read = tf.sequence_mask(length, tf.shape(label)[1])
    on_scale = ((label >= lowest) & (label <= highest)) | ~read
    rule = _Rule(
        tf.reduce_all(on_scale),
        lambda: _sentence(
            f"`support_label` must lie between {lowest:g} and {highest:g}. Received: ",
            _first(label, on_scale),
        ),
    )
    return _after([rule], {"support_label": label})["support_label"]


def checked_features(
    inputs: Tensors, support: list[str], query: list[str], user: list[str]
) -> Tensors:
    """The same tensors, readable only after the checks of a request by features.

    Args:
      inputs: `support_label` [B, S], `support_length` [B] and the named ones.
      support: Names of the support items' features [B, S].
      query: Names of the query items' features [B, Q].
      user: Names of the user's features [B].
    """
    rules = [_same_shape(inputs, name, support[0]) for name in (*support[1:], "support_label")]
    rules += [_same_shape(inputs, name, query[0]) for name in query[1:]]
    rules += [_same_rows(inputs, name, support[0]) for name in (query[0], "support_length", *user)]
    inputs = _after(rules, inputs)
    length, S = inputs["support_length"], tf.shape(inputs[support[0]])[1]
    in_range = (length >= 0) & (length <= S)
    return _after([_length_in_range(length, in_range, S)], inputs)


def checked_context(inputs: Tensors, dimension: int) -> Tensors:
    """The same tensors, readable only after the checks of `context`, finite [B, D]."""
    context = inputs["context"]
    width = tf.shape(context)[1]
    finite = tf.math.is_finite(context)
    inputs = _after(
        [
            _Rule(
                tf.equal(width, dimension),
                lambda: _sentence(
                    f"`context` must be as wide as this model's contexts (D={dimension})."
                    " Received: ",
                    width,
                ),
            ),
            _finite("context", context, finite),
        ],
        inputs,
    )
    return {**inputs, "context": tf.ensure_shape(inputs["context"], [None, dimension])}


def _length_in_range(length: tf.Tensor, in_range: tf.Tensor, S: tf.Tensor) -> _Rule:
    return _Rule(
        tf.reduce_all(in_range),
        lambda: _sentence(
            "`support_length` must lie between 0 and the number of support pairs (S=",
            S,
            "). Received: ",
            _first(length, in_range),
        ),
    )


def _after(rules: list[_Rule], inputs: Tensors) -> Tensors:
    """`inputs`, which cannot be read before all rules hold."""
    holds = tf.stack([rule.holds for rule in rules])

    def fail() -> tf.Tensor:
        sentences = tf.stack([rule.sentence() for rule in rules])
        first = tf.argmin(tf.cast(holds, tf.int32))
        failed = tf.debugging.Assert(tf.constant(False), [sentences[first]])
        with tf.control_dependencies([failed]):
            return tf.constant(False)

    passed = tf.cond(tf.reduce_all(holds), lambda: tf.constant(True), fail)
    with tf.control_dependencies([passed]):
        return {name: tf.identity(value) for name, value in inputs.items()}


def _same_shape(inputs: Tensors, name: str, reference: str) -> _Rule:
    received, expected = tf.shape(inputs[name]), tf.shape(inputs[reference])
    return _Rule(
        tf.reduce_all(received == expected),
        lambda: _sentence(
            f"`{name}` must have the shape of `{reference}`, ",
            _shape(expected),
            ". Received: ",
            _shape(received),
        ),
    )


def _same_rows(inputs: Tensors, name: str, reference: str) -> _Rule:
    received, expected = tf.shape(inputs[name])[0], tf.shape(inputs[reference])[0]
    return _Rule(
        received == expected,
        lambda: _sentence(
            f"`{name}` must have as many rows as `{reference}` (B=",
            expected,
            "). Received: ",
            received,
        ),
    )


def _finite(name: str, values: tf.Tensor, finite: tf.Tensor, where: str = "") -> _Rule:
    return _Rule(
        tf.reduce_all(finite),
        lambda: _sentence(f"`{name}` must be finite{where}. Received: ", _first(values, finite)),
    )


def _first(values: tf.Tensor, accepted: tf.Tensor) -> tf.Tensor:
    """The first of the values that are not accepted."""
    index = tf.argmin(tf.cast(tf.reshape(accepted, [-1]), tf.int32))
    return tf.gather(tf.reshape(values, [-1]), index)


def _shape(shape: tf.Tensor) -> tf.Tensor:
    return tf.strings.join(
        ["[", tf.strings.reduce_join(tf.strings.as_string(shape), separator=", "), "]"]
    )


def _sentence(*parts: str | tf.Tensor) -> tf.Tensor:
    def text(part: str | tf.Tensor) -> str | tf.Tensor:
        is_text = isinstance(part, str) or part.dtype == tf.string
        return part if is_text else tf.strings.as_string(part)

    return tf.strings.join([*(text(part) for part in parts), "."])
