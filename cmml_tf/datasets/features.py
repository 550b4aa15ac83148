"""Declared features of users and items: vocabularies learned once, values turned into rows.

Multi-hot values are kept as index lists, never as dense rows.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cmml_tf.types import Feature, FeatureColumn


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


def build_columns(
    raw: Iterable[RawFeature], ids: Sequence[Hashable], trained_ids: Sequence[Hashable]
) -> tuple[FeatureColumn, ...]:
    """The columns of all features for a catalogue of `ids`; those without any value are left out.

    The vocabulary of an `id` feature holds `trained_ids` alone: an embedding that is never trained
    says nothing. All other vocabularies are the values of the catalogue, sorted.
    """
    columns = []
    for feature in raw:
        values = [feature.values.get(one) for one in ids]
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
        return Feature(name, kind, (), float(numbers.mean()), deviation if deviation > 0 else 1.0)
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
    starts = np.concatenate([[0], np.cumsum([*counts, 0])]).astype(np.int64)
    return FeatureColumn(feature, np.array(flat, np.int32), starts)


def _members(kind: str, value: Any) -> tuple[str, ...]:
    """The values that there are, as text; a list's members once each, in order."""
    if kind == "multi-hot":
        return tuple(dict.fromkeys(str(member) for member in value or () if str(member)))
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return ()
    return (str(value),)


def _number(value: Any) -> float:
    return math.nan if value is None or value == "" else float(value)
