"""What a request to each signature must be, checked inside the served graph before any work.

First the ranks, since a server hands on tensors of any rank; then sizes and shapes, since checks of
values rely on them; then the values of each task (`value_checks`). Faults of the first two kinds
fail the call. A usual request passes by a few comparisons of all its shapes; which one is wrong is
only looked for where these fail.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from cmml_tf.models.adapting_model import ContextWidth
from cmml_tf.request_limits import RequestLimits
from cmml_tf.serving.requests.rules import (
    Rule,
    Tensors,
    after,
    after_at_once,
    after_check,
    first_refused,
    is_finite,
    sentence,
    shape_text,
)
from cmml_tf.serving.requests.value_checks import (
    Checked,
    Scale,
    all_finite,
    all_within,
    valid_support,
    valid_tasks,
)


def checked_support(
    inputs: Tensors, limits: RequestLimits, scale: Scale = None, query_limit: int | None = None
) -> Checked:
    """A request with a support set by ids.

    Args:
      inputs: `support_user_id`, `support_item_id`, `support_label` [B, S], `support_length` [B];
        where there are, `query_user_id`, `query_item_id` [B, Q] and `user_id` [B].
      limits: The largest request.
      scale: Of the labels.
      query_limit: Most query pairs of all tasks, where it is not the limits' own.
    """
    reference = "support_user_id"
    axes = {reference: "BS", "support_item_id": "BS", "support_label": "BS", "support_length": "B"}
    further = {"query_user_id": "BQ", "query_item_id": "BQ", "user_id": "B"}
    axes |= {name: further[name] for name in further if name in inputs}

    def check(inputs: Tensors) -> Tensors:
        inputs = _of_rank(inputs, {name: len(axes[name]) for name in inputs}, after_at_once)
        rules = _support_limits(inputs, reference, tf.shape(inputs[reference]), limits)
        rules += [_same_shape(inputs, n, reference) for n in ("support_item_id", "support_label")]
        rules.append(_same_rows(inputs, "support_length", reference))
        if "query_user_id" in inputs:
            rules += _query_rules(inputs, reference, limits, query_limit)
        if "user_id" in inputs:
            rules.append(_same_rows(inputs, "user_id", reference))
        return after_at_once(rules, inputs)

    alike, length = _alike(inputs, axes)
    rules = _support_limits(inputs, reference, [length["B"], length["S"]], limits)
    if "query_user_id" in inputs:
        rules += _query_limits(inputs, "query_user_id", length["Q"], limits, query_limit)
    passes = tf.reduce_all(tf.stack([alike, *(rule.holds for rule in rules)]))
    return valid_support(after_check(passes, check, inputs), scale)


def _alike(inputs: Tensors, axes: Mapping[str, str]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Whether inputs of any rank have these axes, and how long they are where they do.

    Args:
      inputs: Tensors.
      axes: A letter for each axis of an input; the same letter is the same length.

    Returns:
      bool scalar; and int32 scalars by letter.
    """
    wanted = [letter for of_input in axes.values() for letter in (*of_input, -1)]
    shapes = [part for name in axes for part in (tf.shape(inputs[name]), [-1])]
    # One comparison for all: behind each shape stands a mark, and behind all so much that there are
    # enough numbers, whatever the ranks are (`_of_rank`).
    received = tf.concat([*shapes, [-2] * len(wanted)], axis=0)[: len(wanted)]
    letters = dict.fromkeys("".join(axes.values()))
    length = {letter: received[wanted.index(letter)] for letter in letters}
    same = received == tf.stack([length.get(one, one) for one in wanted])
    return tf.reduce_all(same) & tf.reduce_all(tf.stack([*length.values()]) >= 0), length


def checked_context(inputs: Tensors, limits: RequestLimits, width: ContextWidth) -> Checked:
    """A request with `context` [B, D], finite, and `query_user_id`, `query_item_id` [B, Q]."""
    inputs = _of_rank(inputs, dict.fromkeys(inputs, 2))
    rules = [
        _at_most("context", "tasks", tf.shape(inputs["context"])[0], limits.tasks),
        *_width_rules(inputs["context"], width, limits),
        *_query_rules(inputs, "context", limits, None),
    ]
    inputs = after(rules, inputs)
    finite = is_finite(inputs["context"])
    checked = valid_tasks([all_finite("context", inputs["context"], finite)], inputs)
    static = [None, None if width.pair else width.task]
    context = tf.ensure_shape(checked.inputs["context"], static)
    return checked._replace(inputs={**checked.inputs, "context": context})


def _width_rules(context: tf.Tensor, width: ContextWidth, limits: RequestLimits) -> list[Rule]:
    B, received = tf.unstack(tf.shape(context))
    if not width.pair:
        wanted = f"`context` must be as wide as this model's contexts (D={width.task}). Received: "
        return [Rule(tf.equal(received, width.task), lambda: sentence(wanted, received))]
    rest = received - width.task
    pairs = rest // width.pair
    whole = (rest >= 0) & tf.equal(rest % width.pair, 0)
    wanted = (
        f"`context` must hold {width.task} numbers of its task and {width.pair} of each support "
        "pair, as this model's contexts do. Received: a width of "
    )
    in_all = tf.cast(pairs, tf.int64) * tf.cast(B, tf.int64)
    return [
        Rule(whole, lambda: sentence(wanted, received)),
        _at_most("context", "support pairs a task", pairs, limits.support_pairs),
        _at_most("context", _IN_ALL.format("support"), in_all, limits.support_pairs_of_a_call),
    ]


def checked_examples(serialized: tf.Tensor, limits: RequestLimits) -> tf.Tensor:
    """Serialized Examples [N], readable only after the check that there are some, not too many."""
    inputs = _of_rank({"inputs": serialized}, {"inputs": 1})
    count = tf.size(inputs["inputs"])
    rules = [
        Rule(count > 0, lambda: sentence("`inputs` must hold an Example")),
        _at_most("inputs", "Examples", count, limits.tasks),
    ]
    return after(rules, inputs)["inputs"]


def checked_lists(inputs: Tensors, lengths: Tensors, limits: RequestLimits) -> Tensors:
    """The same tensors, readable only after the check that lists of an Example are equally long.

    Args:
      inputs: Any.
      lengths: Values that each list has in each Example, int32 [N] by name; N at least 1.
      limits: How long they may be.
    """
    reference = "support_user_id"
    expected = lengths[reference]
    longest = tf.reduce_max(tf.stack([*lengths.values()]))
    pairs = tf.cast(longest, tf.int64) * tf.size(expected, tf.int64)
    rules = [
        _at_most(reference, "support pairs a task", longest, limits.support_pairs),
        _at_most(reference, _IN_ALL.format("support"), pairs, limits.support_pairs_of_a_call),
    ]
    rules += [_same_length(name, lengths[name], reference, expected) for name in lengths]
    return after(rules, inputs)


def checked_features(
    inputs: Tensors,
    limits: RequestLimits,
    scale: Scale,
    names: Mapping[str, list[str]],
    numbers: Mapping[str, tuple[float, float]],
) -> Checked:
    """A request by features.

    Args:
      inputs: `support_label` [B, S], `support_length` [B] and the named ones.
      limits: The largest request.
      scale: Of the labels.
      names: Inputs of `support` pairs [B, S], `query` pairs [B, Q] and the `user` [B]; vectors
        have one more axis, of a width that is known.
      numbers: The first and last value that numeric inputs may have; NaN is an unknown one.
    """
    widths = {name: x.shape[2] for name, x in inputs.items() if x.shape.rank == 3}
    # What others are compared with has no axis more.
    support, query = (sorted(names[of], key=widths.__contains__) for of in ("support", "query"))
    reference, user = support[0], names["user"]
    ranks = dict.fromkeys(inputs, 2) | dict.fromkeys(user, 1) | {"support_length": 1}
    inputs = _of_rank(inputs, ranks | dict.fromkeys(widths, 3))
    rules = [
        *_support_limits(inputs, reference, tf.shape(inputs[reference]), limits),
        *_query_limits(inputs, query[0], tf.shape(inputs[query[0]])[1], limits, None),
        _texts_fit([inputs[name] for name in inputs if inputs[name].dtype == tf.string]),
    ]
    rules += [_same_shape(inputs, name, reference) for name in (*support[1:], "support_label")]
    rules += [_same_shape(inputs, name, query[0]) for name in query[1:]]
    rules += [_same_rows(inputs, name, reference) for name in (query[0], "support_length", *user)]
    rules += [_as_wide(inputs, name, width) for name, width in widths.items()]
    inputs = after(rules, inputs)
    for name, width in widths.items():
        inputs[name] = tf.ensure_shape(inputs[name], [None, None, width])
    unread = ~tf.sequence_mask(inputs["support_length"], tf.shape(inputs[reference])[1])

    def accepted(name: str) -> tf.Tensor:
        unknown = tf.math.is_nan(inputs[name])
        if name not in support:
            return unknown
        return unknown | (unread[..., None] if name in widths else unread)

    within = [all_within(name, inputs[name], *numbers[name], accepted(name)) for name in numbers]
    return valid_support(inputs, scale, within)


_IN_ALL = "{} pairs in all tasks together with the padding to the longest"
# A few feature values for each of the pairs that a call may hold.
_MOST_TEXT = 2**23


def _texts_fit(texts: Iterable[tf.Tensor]) -> Rule:
    length = tf.add_n(
        [tf.reduce_sum(tf.strings.length(text)) for text in texts] or [tf.constant(0)]
    )
    return _at_most("*_item_*", "bytes of feature values in all", length, _MOST_TEXT)


def _of_rank(
    inputs: Tensors,
    ranks: Mapping[str, int],
    behind: Callable[[Sequence[Rule], Tensors], Tensors] = after,
) -> Tensors:
    """The same tensors, readable only after the check that each has as many axes as it must.

    A server does not compare a tensor's rank with the signature. The signature does declare it, so
    that `tf.rank`, and the length of `tf.shape`, would be replaced by what it says before a request
    is seen. Where the marks between the shapes stand nobody knows beforehand.
    """
    shapes = [part for value in inputs.values() for part in (tf.shape(value), [-1])]
    marks = tf.reshape(tf.where(tf.concat(shapes, axis=0) < 0), [-1])
    expected = np.cumsum([ranks[name] + 1 for name in inputs]) - 1
    right = tf.equal(marks, expected)

    def said() -> tf.Tensor:
        wrong = tf.argmin(tf.cast(right, tf.int32))
        received = tf.stack([shape_text(tf.shape(value)) for value in inputs.values()])
        kinds = [f"`{name}` must have {_AXES[ranks[name]]}" for name in inputs]
        return sentence(tf.gather(kinds, wrong), ". Received: shape ", tf.gather(received, wrong))

    return behind([Rule(tf.reduce_all(right), said)], inputs)


_AXES = {
    1: "one axis, B",
    2: "two axes, B and the pairs of a task",
    3: "three axes, B, the pairs of a task and the numbers of a vector",
}


def _at_most(name: str, what: str, received: tf.Tensor, limit: int) -> Rule:
    return Rule(
        received <= limit,
        lambda: sentence(
            f"`{name}` must hold at most {limit} {what}, which is the limit of this export"
            ". Received: ",
            received,
        ),
    )


def _support_limits(
    inputs: Tensors, reference: str, shape: Sequence[tf.Tensor], limits: RequestLimits
) -> list[Rule]:
    B, S = shape[0], shape[1]
    pairs = tf.size(inputs[reference], tf.int64)
    return [
        _at_most(reference, "tasks", B, limits.tasks),
        _at_most(reference, "support pairs a task", S, limits.support_pairs),
        _at_most(reference, _IN_ALL.format("support"), pairs, limits.support_pairs_of_a_call),
    ]


def _query_limits(
    inputs: Tensors, name: str, Q: tf.Tensor, limits: RequestLimits, of_a_call: int | None
) -> list[Rule]:
    pairs = tf.size(inputs[name], tf.int64)
    of_a_call = limits.query_pairs_of_a_call if of_a_call is None else of_a_call
    return [
        _at_most(name, "query pairs a task", Q, limits.query_pairs),
        _at_most(name, _IN_ALL.format("query"), pairs, of_a_call),
    ]


def _query_rules(
    inputs: Tensors, reference: str, limits: RequestLimits, of_a_call: int | None
) -> list[Rule]:
    query = inputs["query_user_id"]
    return [
        *_query_limits(inputs, "query_user_id", tf.shape(query)[1], limits, of_a_call),
        _same_rows(inputs, "query_user_id", reference),
        _same_shape(inputs, "query_item_id", "query_user_id"),
    ]


def _same_shape(inputs: Tensors, name: str, reference: str) -> Rule:
    received, expected = tf.shape(inputs[name])[:2], tf.shape(inputs[reference])
    return Rule(
        tf.reduce_all(received == expected),
        lambda: sentence(
            f"`{name}` must have the shape of `{reference}`, ",
            shape_text(expected),
            ". Received: ",
            shape_text(received),
        ),
    )


def _as_wide(inputs: Tensors, name: str, width: int) -> Rule:
    # At least 0, as it is anyhow: of a bare shape the signature's own width would be taken.
    received = tf.maximum(tf.shape(inputs[name]), 0)[2]
    return Rule(
        tf.equal(received, width),
        lambda: sentence(f"`{name}` must be vectors of {width} numbers. Received: ", received),
    )


def _same_rows(inputs: Tensors, name: str, reference: str) -> Rule:
    received, expected = tf.shape(inputs[name])[0], tf.shape(inputs[reference])[0]
    return Rule(
        received == expected,
        lambda: sentence(
            f"`{name}` must have as many rows as `{reference}` (B=",
            expected,
            "). Received: ",
            received,
        ),
    )


def _same_length(name: str, received: tf.Tensor, reference: str, expected: tf.Tensor) -> Rule:
    same = received == expected
    return Rule(
        tf.reduce_all(same),
        lambda: sentence(
            f"`{name}` must hold as many values as `{reference}` in each Example. Received: ",
            first_refused(received, same),
            " for ",
            first_refused(expected, same),
        ),
    )
