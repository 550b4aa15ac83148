"""Declared features of users and items: vocabularies learned once, values turned into rows.

Multi-hot values are kept as index lists, never as dense rows.
"""

import math
import re
import reprlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from cmml_tf.types import Feature, FeatureColumn, starts_of

# Parts of the names of inputs, weights and asset files.
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
# `<side>_id` and `<side>_ids` are what inputs and assets of the ids themselves are called.
_TAKEN = ("id", "ids")
_LARGEST = float(np.finfo(np.float32).max)


class RawFeature(NamedTuple):
    """What a source knows, before any vocabulary.

    Attributes:
      name: Of the feature.
      kind: As in `Feature`.
      values: Raw id of a user or item to its value: str, tuple of str (`multi-hot`) or float. Who
        has no entry is unknown in this respect.
    """

    name: str
    kind: str
    values: Mapping[Hashable, Any]


def check_names(side: Literal["item", "user"], features: Iterable[tuple[Any, str]]) -> None:
    """Refuses names under which two things would be one input, weight or file of an export.

    Args:
      side: What the features are of.
      features: Names and kinds; only one of the kind `id` may be called `id`.

    Raises:
      ValueError: A name is taken, is not one of letters, digits and _, or differs from another in
        case only.
    """
    seen: dict[str, str] = {}
    for name, kind in features:
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise ValueError(
                "The name of a feature must be 1 to 64 letters, digits and _ of ASCII, since "
                "inputs of the export are named after it. "
                f"Received: {reprlib.repr(name)} among the {side} features."
            )
        if name.lower() in _TAKEN and kind != "id":
            raise ValueError(
                f"A feature of {side}s must not be named {name!r}: `{side}_{name.lower()}` stands "
                "for the ids themselves. Give the column another name."
            )
        if name.lower() in seen:
            raise ValueError(
                f"The names of the {side} features must differ in more than upper and lower case. "
                f"Received: {seen[name.lower()]!r} and {name!r}."
            )
        seen[name.lower()] = name


def finite_numbers(
    path: Path, column: str, keys: Sequence[Hashable], texts: Sequence[str]
) -> list[float]:
    """The numbers of a column, NaN where there is none.

    Args:
      path: The table.
      column: Its column.
      keys: The id of each row, for the message.
      texts: What the column holds; empty: unknown.

    Raises:
      ValueError: A text is no number, or one that is not finite in float32; the message names row,
        column and id.
    """
    numbers = []
    for row, (key, text) in enumerate(zip(keys, texts, strict=True)):
        try:
            number = float(text.replace("_", "?")) if text.strip() else math.nan
        except ValueError:
            number = math.inf
        if abs(number) > _LARGEST or (math.isnan(number) and text.strip()):
            raise ValueError(
                f"Column {column!r} of {path} must hold finite numbers (float32). Received: "
                f"{text[:40]!r} in row {row + 1} of its {len(texts)} rows, that of {key}. Leave it "
                "empty where the number is unknown."
            )
        numbers.append(number)
    return numbers


def build_columns(
    side: Literal["item", "user"],
    raw: Iterable[RawFeature],
    ids: Sequence[Hashable],
    trained_ids: Sequence[Hashable],
) -> tuple[FeatureColumn, ...]:
    """The columns of all features for a catalogue of `ids`; those without any value are left out.

    The vocabulary of an `id` feature holds `trained_ids` alone: an embedding that is never trained
    says nothing. All other vocabularies are the values of the catalogue, sorted.

    Raises:
      ValueError: A name is taken (see `check_names`), a number is infinite or beyond float32, or a
        value has a line break.
    """
    raw = list(raw)
    check_names(side, [(feature.name, feature.kind) for feature in raw])
    columns = []
    for feature in raw:
        values = [feature.values.get(one) for one in ids]
        _check_values(side, feature, ids, values)
        source = trained_ids if feature.kind == "id" else values
        declared = learn_feature(feature.name, feature.kind, source)
        if declared is not None:
            columns.append(encode_column(declared, values))
    return tuple(columns)


def learn_feature(name: str, kind: str, values: Iterable[Any]) -> Feature | None:
    """A feature's vocabulary, or a number's mean and deviation; None where nothing is known.

    Args:
      name, kind: Of the feature.
      values: Known values; None, "", and NaN are none.
    """
    if kind == "numeric":
        numbers = np.array([value for value in map(_number, values) if math.isfinite(value)])
        if not len(numbers):
            return None
        deviation = float(numbers.std())
        # What is nothing in float32, which the served graph divides in, is no deviation either.
        varies = deviation >= float(np.finfo(np.float32).tiny)
        return Feature(name, kind, (), float(numbers.mean()), deviation if varies else 1.0)
    members = {member for value in values for member in _members(kind, value)}
    return Feature(name, kind, tuple(sorted(members))) if members else None


def encode_column(feature: Feature, values: Sequence[Any]) -> FeatureColumn:
    """The values of N users or items as vocabulary rows, with one more row for an unknown one.

    Values outside the vocabulary have the row behind it; so has a missing categorical value. A
    missing number is the mean.
    """
    if feature.kind == "numeric":
        numbers = np.array([*map(_number, values), math.nan])
        standardised = (numbers - feature.mean) / feature.deviation
        return FeatureColumn(feature, np.nan_to_num(standardised).astype(np.float32))
    row = {value: place for place, value in enumerate(feature.vocabulary)}
    unknown = len(row)
    members = [_members(feature.kind, value) for value in values]
    if feature.kind != "multi-hot":
        rows = [row.get(*found, unknown) if found else unknown for found in members]
        return FeatureColumn(feature, np.array([*rows, unknown], np.int32))
    counts = [len(found) for found in members]
    flat = [row.get(member, unknown) for found in members for member in found]
    return FeatureColumn(feature, np.array(flat, np.int32), starts_of([*counts, 0]))


def _check_values(
    side: str, feature: RawFeature, ids: Sequence[Hashable], values: Sequence[Any]
) -> None:
    """Refuses what training would turn into NaN and an export could not write as a line of text."""
    for one, value in zip(ids, values, strict=True):
        if feature.kind == "numeric":
            if abs(_number(value)) > _LARGEST:
                raise ValueError(
                    f"The {side} feature {feature.name!r} must be finite in float32. "
                    f"Received: {value} of {side} {one}."
                )
        elif any(set(member) & {"\n", "\r", "\0"} for member in _members(feature.kind, value)):
            raise ValueError(
                f"The {side} feature {feature.name!r} must hold lines of text. "
                f"Received: {str(value)[:80]!r} of {side} {one}."
            )


def _members(kind: str, value: Any) -> tuple[str, ...]:
    """The values that there are, as text; a list's members once each, in order."""
    if kind == "multi-hot":
        return tuple(dict.fromkeys(str(member) for member in value or () if str(member)))
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return ()
    return (str(value),)


def _number(value: Any) -> float:
    return math.nan if value is None or value == "" else float(value)
