"""Ids of users, items and scenarios: int64, or text as it is written.

Ids of one space (all user ids of all files, say) are integers if every one of them is what
`str(int(id))` gives and fits int64; else all are text: 007, 12.0, 1e2, 18446744073709551615 and
`guest` are. Which it is shows when everything has been read, so blocks hold integers where they
can: nothing of the text is lost by that.

A single damaged line should not turn the ids of a shop into text. So, where malformed lines are
allowed, at most that many values that are no whole numbers at all, among a thousand times as many
integers, are malformed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.large_string()
"""Text as pandas has it, so that nothing is copied."""
WHOLE = r"^(0|-?[1-9][0-9]*)$"
"""What `str(int(text))` gives."""
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
"""A number with or without a fraction, as a field of a text may hold it."""
_NUMERIC = r"^[+-]?[0-9]+$"
_INTEGERS_FOR_ONE_FAULT = 1000
_SAFE_DIGITS = 18  # always fit an int64, with a sign


class Seen(NamedTuple):
    """What the values of an id column look like.

    Attributes:
      integers: Values that are integers as `str` writes them, within int64.
      numeric: Whole numbers that are not: 007, 18446744073709551615.
      text: All other values.
    """

    integers: int
    numeric: int
    text: int


def is_text_type(kind: pa.DataType) -> bool:
    """Whether a column of this type is text."""
    return pa.types.is_large_string(kind) or pa.types.is_string(kind)


def whole_or_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A text column as int64 if all its values are integers as `str` writes them; else itself."""
    if not is_text_type(column.type):
        return column
    first = next((value for value in column[:100].to_pylist() if value is not None), None)
    if first is not None and not _looks_whole(first):
        return column
    try:
        numbers = column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column
    same = pc.equal(numbers.cast(TEXT), column)
    return numbers if pc.all(same).as_py() in (True, None) else column


def integers_within(text: pa.Array, pattern: str) -> tuple[pa.Array, np.ndarray]:
    """int64 [N] of the values that fit a pattern of integers, and bool [N] which do.

    The others, and those beyond int64, are null.
    """
    fits = pc.fill_null(pc.match_substring_regex(text, pattern), False)
    text = pc.if_else(fits, pc.replace_substring_regex(text, r"^\+", ""), None)
    short = pc.less_equal(pc.binary_length(text), _SAFE_DIGITS)
    numbers = np.zeros(len(text), np.int64)
    good = pc.fill_null(short, False).to_numpy(zero_copy_only=False).copy()
    cast = pc.if_else(pc.fill_null(short, False), text, None).cast(pa.int64())
    numbers[good] = cast.drop_null().to_numpy()
    long = np.flatnonzero(fits.to_numpy(zero_copy_only=False) & ~good)
    limits = np.iinfo(np.int64)
    for place, value in zip(long, text.take(pa.array(long)).to_pylist(), strict=True):
        if len(value) <= 1000 and limits.min <= int(value) <= limits.max:
            numbers[place], good[place] = int(value), True
    return pa.array(numbers, mask=~good), good


def look_at(column: pa.ChunkedArray) -> Seen:
    """What the values of an id column, int64 or text, look like."""
    present = len(column) - column.null_count
    if pa.types.is_integer(column.type):
        return Seen(present, 0, 0)
    text = column.drop_null().combine_chunks()
    _, whole = integers_within(text, WHOLE)
    numeric = pc.sum(pc.match_substring_regex(text, _NUMERIC)).as_py() or 0
    integers = int(whole.sum())
    return Seen(integers, numeric - integers, present - numeric)


def settled(seen: Mapping[str, Iterable[Seen]], max_malformed: int) -> dict[str, bool]:
    """Whether the ids of each space are integers, by what its columns look like."""
    kinds = {}
    for space, parts in seen.items():
        total = Counter()
        for part in parts:
            total.update(part._asdict())
        few = total["text"] <= max_malformed
        few &= total["text"] * _INTEGERS_FOR_ONE_FAULT <= total["integers"]
        kinds[space] = total["numeric"] == 0 and few
    return kinds


def of_kind(column: pa.ChunkedArray, whole: bool) -> pa.ChunkedArray:
    """A column that was read as integers where it could be, as what its space has become."""
    if whole or not pa.types.is_integer(column.type):
        return column
    return column.cast(TEXT)


def as_array(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Ids without nulls: numbers [N] as they are, or object [N] of str."""
    if is_text_type(column.type):
        return np.array(column.to_pylist(), object)
    return np.asarray(column)


def coded(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ids as they come first, and int32 [N] which of them each row has; -1: none."""
    encoded = column.combine_chunks().dictionary_encode()
    return as_array(encoded.dictionary), np.asarray(encoded.indices.fill_null(-1))


def is_text(ids: np.ndarray) -> bool:
    """Whether ids (int64, or object of str) are text."""
    return ids.dtype == object


def as_text(ids: np.ndarray) -> np.ndarray:
    """Ids as text, object [N] of str: as long as each is, not as the longest."""
    return ids if ids.dtype == object else ids.astype(str).astype(object)


def sorted_ids(ids: Iterable[Any]) -> np.ndarray:
    """Ids of one kind, sorted: int64 or object of str [N]."""
    values = sorted(ids)
    return np.array(values, object if values and isinstance(values[0], str) else None)


def distinct(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct ids, and int64 [N] the place of each id among them."""
    codes, found = pd.factorize(ids)
    if is_text(ids):
        order = pc.sort_indices(pa.array(found, pa.large_string())).to_numpy()
    else:
        order = np.argsort(found)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return np.asarray(found)[order], place[codes]


def first_of_each(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct ids, and int64 the place of each where it comes first."""
    known, place = distinct(ids)
    first = np.full(len(known), len(ids), np.int64)
    np.minimum.at(first, place, np.arange(len(ids)))
    return known, first


def rows_of(ids: np.ndarray, known: np.ndarray) -> np.ndarray:
    """int64 [N]: the place of each id among the distinct known ones; -1 of one that is none."""
    if is_text(ids) != is_text(known):
        return np.full(len(ids), -1, np.int64)
    return pd.Index(known, dtype=known.dtype).get_indexer(ids).astype(np.int64)


def is_in(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """bool [N]: which values are among the sorted, distinct known ones."""
    if is_text(values) or is_text(known):
        return rows_of(values, known) >= 0
    if not len(known):
        return np.zeros(len(values), bool)
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return known[place] == values


def _looks_whole(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit()
