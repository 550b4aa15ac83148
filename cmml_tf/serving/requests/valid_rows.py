"""Which tasks of a call are answered: the others get NaN and cannot reach their neighbours."""

from collections.abc import Sequence

import tensorflow as tf

from cmml_tf.serving.requests.rules import (
    RowRule,
    Tensors,
    after_rows,
    is_finite,
    sentence,
    where_valid,
)


def answered(
    outputs: Tensors, valid: tf.Tensor, numbers: Sequence[str] = (), nothing: Tensors | None = None
) -> Tensors:
    """The answer with `valid` bool [B]; floats of tasks that are not valid are NaN.

    Args:
      outputs: Tensors [B, ...].
      valid: bool [B].
      numbers: Inputs that may be finite and yet too large to compute with. A task whose answer is
        then not finite is not valid either; where no task is, the call fails.
      nothing: What tasks that are not valid get in other outputs, by name; without an entry such
        an output stays as computed.
    """
    floats = [name for name, value in outputs.items() if value.dtype.is_floating]
    if numbers:
        finite = [_all_of_a_task(is_finite(outputs[name])) for name in floats]
        named = " and ".join(f"`{name}`" for name in numbers)
        rule = RowRule(
            valid & tf.reduce_all(tf.stack(finite), axis=0),
            lambda: sentence(
                f"{named} must hold numbers that the model can compute with. "
                "Received: some that are too large"
            ),
        )
        outputs, valid = after_rows([rule], outputs)
    instead = {name: tf.constant(float("nan"), outputs[name].dtype) for name in floats}
    instead |= nothing or {}
    return {
        **{
            name: where_valid(valid, value, instead[name]) if name in instead else value
            for name, value in outputs.items()
        },
        "valid": valid,
    }


def _all_of_a_task(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all(values, axis=list(range(1, values.shape.rank)))
