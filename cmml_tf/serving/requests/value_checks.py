"""What the values of each task of a request must be, whose ranks and shapes are right.

A task with a wrong value is not valid: its numbers are zeros from here on, so that nothing of it is
computed with, and `answered` puts NaN into its answer.
"""

from collections.abc import Iterable
from typing import NamedTuple

import tensorflow as tf

from cmml_tf.serving.requests.rules import (
    RowRule,
    Tensors,
    after_rows,
    first_refused,
    is_finite,
    sentence,
    where_valid,
)
from cmml_tf.serving.requests.task_groups import not_inlined

Scale = tuple[float, float] | None
"""Lowest and highest support label; None where any finite number is one."""


class Checked(NamedTuple):
    """A request that may be read.

    Attributes:
      inputs: The tensors; numbers of tasks that are not valid are zero.
      valid: bool [B].
    """

    inputs: Tensors
    valid: tf.Tensor


def valid_support(inputs: Tensors, scale: Scale, rules: Iterable[RowRule] = ()) -> Checked:
    """A request whose shapes are right; the values of its support are checked, task by task."""
    label, length = inputs["support_label"], inputs["support_length"]
    S = tf.shape(label)[1]
    # A length out of range selects all or nothing here, which does no harm.
    unread = ~tf.sequence_mask(length, S)  # [B, S]
    checks = [
        _length_in_range(length, S),
        all_finite("support_label", label, is_finite(label) | unread, " within `support_length`"),
    ]
    if scale is not None:
        checks.append(all_within("support_label", label, *scale, unread))
    return valid_tasks([*checks, *rules], inputs)


def valid_tasks(rules: list[RowRule], inputs: Tensors) -> Checked:
    """A request, of which tasks that break a rule are not valid; at least one keeps them all."""
    # Its failure stands beside what follows, not within: a server cuts off what it says of one
    # behind so many characters, and the names of all functions around it come first.
    inputs, valid = after_rows(rules, inputs)
    numbers = {n: value for n, value in inputs.items() if value.dtype in (tf.float32, tf.int32)}

    @not_inlined
    def without_others() -> Tensors:
        return {n: where_valid(valid, numbers[n], tf.zeros([], numbers[n].dtype)) for n in numbers}

    # Where all are valid no number is chosen one by one, which would take longer than the checks.
    numbers = tf.cond(tf.reduce_all(valid), lambda: numbers, without_others)
    return Checked({**inputs, **numbers}, valid)


def _length_in_range(length: tf.Tensor, S: tf.Tensor) -> RowRule:
    in_range = (length >= 0) & (length <= S)
    return RowRule(
        in_range,
        lambda: sentence(
            "`support_length` must lie between 0 and the number of support pairs (S=",
            S,
            "). Received: ",
            first_refused(length, in_range),
        ),
    )


def all_finite(name: str, values: tf.Tensor, accepted: tf.Tensor, where: str = "") -> RowRule:
    """Values [B, n] are finite; `accepted` bool [B, n] says so, or that one may be anything."""
    return RowRule(
        tf.reduce_all(accepted, axis=1),
        lambda: sentence(
            f"`{name}` must be finite{where}. Received: ", first_refused(values, accepted)
        ),
    )


def all_within(
    name: str, values: tf.Tensor, lowest: float, highest: float, unread: tf.Tensor | None
) -> RowRule:
    """Values [B, ...] lie between two; `unread` [B, S] may be anything; None: all is read."""
    accepted = (values >= lowest) & (values <= highest)
    accepted = accepted if unread is None else accepted | unread
    return RowRule(
        tf.reduce_all(accepted, axis=list(range(1, values.shape.rank))),
        lambda: sentence(
            f"`{name}` must lie between {lowest:g} and {highest:g}. Received: ",
            first_refused(values, accepted),
        ),
    )
