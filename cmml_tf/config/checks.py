"""Bounds of configuration values: written once, in a field's annotation, and checked here.

A field says what it accepts and for which models it counts:

    max_epochs: PositiveInt = 20
    dropout: Annotated[float, FROM_0_BELOW_1, CountsFor(modulation=("ridge",))] = 0.0

and the class calls `check(self)` when it is constructed.
"""

import dataclasses
import functools
import numbers
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

_MOST_SHOWN = 300


@dataclasses.dataclass(frozen=True)
class Bound:
    """What a value must be.

    Attributes:
      accepted: In words, as an error says it.
      holds: Whether a value is that. NaN is never.
    """

    accepted: str
    holds: Callable[[Any], bool]


class CountsFor:
    """For which models a field is read; for others it must be left as it is.

    Args:
      **fields: Other fields of the same class, which say what the model is, and their values with
        which this one is read. One of them is enough.
    """

    def __init__(self, **fields: tuple[Any, ...]) -> None:
        self._fields = fields

    def counts(self, config: Any) -> bool:
        """Whether the field is read with the other fields of `config`."""
        return any(getattr(config, key) in values for key, values in self._fields.items())

    def check(self, config: Any, name: str, value: Any, default: Any) -> None:
        """Refuses a value that is not the default where it means nothing."""
        if self.counts(config) or value == default:
            return
        models = " or ".join(f"{key}={_listed(values)}" for key, values in self._fields.items())
        own = ", ".join(f"{key}={getattr(config, key)!r}" for key in self._fields)
        raise ValueError(
            f"`{name}` must be left at {default!r}: it counts with {models} only. "
            f"Received: {name}={shown(value)}, {own}."
        )


def _listed(values: tuple[Any, ...]) -> str:
    *first, last = map(str, values)
    return f"{', '.join(first)} or {last}" if first else last


FROM_0_TO_1 = Bound("between 0 and 1", lambda value: 0 <= value <= 1)
INSIDE_0_1 = Bound("between 0 and 1", lambda value: 0 < value < 1)
FROM_0_BELOW_1 = Bound("at least 0 and below 1", lambda value: 0 <= value < 1)
POSITIVE_INTEGER = Bound("a positive integer", lambda value: _is_whole(value) and value >= 1)
POSITIVE_NUMBER = Bound("a positive number", lambda value: value > 0)
ZERO_OR_MORE = Bound("zero or more", lambda value: value >= 0)
ZERO_OR_POSITIVE_INTEGER = Bound(
    "zero or a positive integer", lambda value: _is_whole(value) and value >= 0
)
POSITIVE_INTEGERS = Bound(
    "one or more positive integers",
    lambda values: len(values) > 0 and all(_is_whole(value) and value >= 1 for value in values),
)

PositiveInt = Annotated[int, POSITIVE_INTEGER]
PositiveFloat = Annotated[float, POSITIVE_NUMBER]
Seed = Annotated[int, ZERO_OR_POSITIVE_INTEGER]
Units = Annotated[tuple[int, ...], POSITIVE_INTEGERS]


def at_least(least: float, because: str = "") -> Bound:
    """A number from `least` on; `because` stands in brackets behind it."""
    why = f" ({because})" if because else ""
    return Bound(f"at least {least}{why}", lambda value: value >= least)


def require(condition: bool, config: Any, name: str, accepted: str) -> None:
    """Raises ValueError, which names the field, its value and what is accepted."""
    if not condition:
        value = getattr(config, name)
        raise ValueError(f"`{name}` must be {accepted}. Received: {name}={shown(value)}.")


def shown(value: Any) -> str:
    """The value as Python writes it, cut where a sentence would grow long.

    Example:

    >>> len(shown(tuple(range(10_000))))
    300
    """
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def check(config: Any) -> None:
    """Refuses a value outside its bounds, and one that means nothing for the model at hand.

    Lists become tuples first, as a YAML file gives them.

    Raises:
      ValueError: The message names the field, what would be accepted, and the value.
    """
    for field, kind, notes, may_be_none in _fields(config.__class__):
        value = getattr(config, field.name)
        if value is None and may_be_none:
            continue
        if isinstance(value, list) and get_origin(kind) is tuple:
            value = tuple(value)
            object.__setattr__(config, field.name, value)
        if get_origin(kind) is Literal:
            options = get_args(kind)
            accepted = f"one of {', '.join(options)}"
            require(_is_option(value, options), config, field.name, accepted)
        for note in notes:
            if isinstance(note, Bound):
                accepted = note.accepted + (" or none" if may_be_none else "")
                require(_holds(note, value), config, field.name, accepted)
            if isinstance(note, CountsFor):
                note.check(config, field.name, value, _default(field))


def idle_fields(kind: type, values: Any) -> set[str]:
    """Names of the fields of `kind` that are not read with these values."""
    return {
        field.name
        for field, _, notes, _ in _fields(kind)
        if any(isinstance(note, CountsFor) and not note.counts(values) for note in notes)
    }


@functools.cache
def _fields(kind: type) -> list[tuple[dataclasses.Field, Any, tuple[Any, ...], bool]]:
    hints = get_type_hints(kind, include_extras=True)
    return [(field, *_unpacked(hints[field.name])) for field in dataclasses.fields(kind)]


def _unpacked(hint: Any) -> tuple[Any, tuple[Any, ...], bool]:
    """The type of a field without its notes, the notes, and whether None is a value too."""
    notes: tuple[Any, ...] = ()
    may_be_none = False
    if get_origin(hint) in (Union, types.UnionType):
        others = [part for part in get_args(hint) if part is not type(None)]
        may_be_none = len(others) < len(get_args(hint))
        if len(others) == 1:
            hint = others[0]
    if get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        inner, deeper, none_too = _unpacked(hint)
        return inner, (*deeper, *more), may_be_none or none_too
    return hint, notes, may_be_none


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_option(value: Any, options: tuple[Any, ...]) -> bool:
    return isinstance(value, str) and value in options


def _holds(bound: Bound, value: Any) -> bool:
    try:
        return bool(bound.holds(value))
    except TypeError:  # no number at all
        return False


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
