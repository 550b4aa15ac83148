"""Requests of the Regress API: pairs as `tf.Example`s, one a score."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cmml_tf.client import wire
from cmml_tf.client.errors import InputError

SIGNATURE = "serving_tf_example"
_FLOATS = frozenset({"support_label"})
"""Features that hold floats, whatever numbers a caller writes."""


def serialized(number: int, example: Any) -> bytes:
    """One Example: bytes as they are, a mapping from feature to value or values turned into one.

    Args:
      number: Its position, for errors.
      example: Strings and bytes become bytes lists, integers int64 lists, floats float lists.

    Raises:
      InputError: Something else, or a feature with other values.
    """
    if isinstance(example, bytes):
        return example
    if not isinstance(example, Mapping):
        raise InputError(
            "`examples` must hold serialized Examples or mappings from feature to values. "
            f"Received: {type(example).__name__} in example {number}."
        )
    message = wire.Example()
    for name, given in example.items():
        _fill(number, name, given, message.features.feature[name])
    return message.SerializeToString(deterministic=True)


def _fill(number: int, name: str, given: Any, feature: Any) -> None:
    if hasattr(given, "to_numpy"):
        given = given.to_numpy()
    if isinstance(given, np.ndarray):
        given = given.tolist()
    values = list(given) if isinstance(given, (list, tuple)) else [given]
    kinds = {_kind(value) for value in values}
    if name in _FLOATS and kinds <= {int, float}:
        kinds = {float}
    if kinds == {bytes}:
        feature.bytes_list.value.extend(
            value.encode() if isinstance(value, str) else value for value in values
        )
    elif kinds == {float}:
        feature.float_list.value.extend(values)
    elif kinds == {int}:
        feature.int64_list.value.extend(values)
    elif values:
        raise InputError(
            f"`{name}` must hold strings, integers or floats, all of one kind. "
            f"Received: {values[:3]!r} in example {number}."
        )


def _kind(value: Any) -> type | None:
    if isinstance(value, (str, bytes)):
        return bytes
    if isinstance(value, (bool, int, np.integer)):
        return int
    return float if isinstance(value, (float, np.floating)) else None


def fill_input(message: Any, examples: Sequence[Any], context: Any) -> None:
    """Fills the input of a Regress request.

    Raises:
      InputError: No Example, or one that is not.
    """
    if not len(examples):
        raise InputError("`examples` must hold at least one Example. Received: none.")
    whole = [serialized(number, example) for number, example in enumerate(examples)]
    if context is None:
        message.example_list.examples.extend(whole)
    else:
        message.example_list_with_context.examples.extend(whole)
        message.example_list_with_context.context = serialized(0, context)
