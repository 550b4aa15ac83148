"""A table of features of items or users: one column their ids, the others features.

A feature that nobody names a kind of has one by a rule that looks at the values: numbers are
`numeric`. Lists of text are `multi-hot`, and so is text that has | in it. Lists of numbers are a
`vector` if all have one length, else `multi-hot`. Other text is `text` where more than half of the
values have several words and more than a tenth differ; else it is `categorical`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.feature_table import FeatureTable, Side, content_column
from cmml_tf.datasets.features import check_names, finite_numbers
from cmml_tf.datasets.reading.columns import Column, find_columns
from cmml_tf.datasets.reading.ids import NUMBER, as_array, distinct
from cmml_tf.datasets.reading.malformed import MalformedLines
from cmml_tf.datasets.reading.own_table import (
    ITEM,
    USER,
    as_features_are_read,
    header_of,
    open_table,
)
from cmml_tf.datasets.reading.read_logs import read_logs
from cmml_tf.datasets.reading.table_names import check_table, table_files
from cmml_tf.datasets.sources.feature_kinds import NO_FEATURE, DeclaredKinds

_SEPARATOR = "|"
_NUMBER = re.compile(NUMBER)
_CODE = re.compile(r"[+-]?0[0-9]")
# As Python, C, spreadsheets and old Windows write what is no finite number.
_NOT_FINITE = re.compile(
    r"[+-]?(inf|infinity|nan|∞|1\.#(inf|ind|q?nan)0*)|#(div/0!|num!|value!|ref!|n/a)",
    re.IGNORECASE,
)
_IDS = {"item": ITEM, "user": USER}
_LARGEST = float(np.finfo(np.float32).max)


class FeatureFile(NamedTuple):
    """A table of features as it was read, and the names of all its columns but the ids."""

    table: FeatureTable
    names: tuple[str, ...]


def load_feature_table(
    path: str | Path, side: Side, kinds: DeclaredKinds, read: ReadConfig | None = None
) -> FeatureFile:
    """Reads a table of features with the reader of all tables.

    Args:
      path: A text or parquet file, or a folder with the parts of one table. Its column of ids is
        called `item` or `user`, as in a log.
      side: What it is of.
      kinds: What is said of kinds; others are guessed.
      read: Block size, names of columns, and how many malformed lines are left out.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is damaged, lacks the ids or a feature of `kinds`, has an id twice or a number
        that is not finite; the message says where.
    """
    path, read = Path(path).expanduser(), ReadConfig() if read is None else read
    check_table(path)
    header = header_of((table_files(path) or [path])[0])
    read = as_features_are_read(read, side, path)
    id_place = find_columns(path, header, [_IDS[side]], read.given)[side]
    names = [name.strip() for place, name in enumerate(header) if place != id_place]
    declared = getattr(kinds, side)
    used = [
        name
        for name in names
        if declared.get(name, NO_FEATURE if kinds.alone else "guessed") != NO_FEATURE
    ]
    check_names(side, [(name, "given") for name in used])
    columns = [Column(name, "value", may_be_empty=True) for name in used]
    log = open_table(path, (_IDS[side], *columns), read)
    malformed = MalformedLines(read)
    parts = read_logs(log.logs, read, malformed)
    ids = np.concatenate([as_array(part[side].combine_chunks()) for part in parts])
    if not len(ids):
        raise ValueError(f"{path} must have a row for each {side} that has features. It has none.")
    _check_once(path, side, ids)
    found = []
    for name in used:
        values = [value for part in parts for value in part[name].to_pylist()]
        if any(isinstance(value, list) for value in values):
            values = [value if isinstance(value, list) else None for value in values]
        else:
            values = ["" if value is None else value for value in values]
        kind = declared.get(name) or guessed_kind(values)
        found.append(content_column(name, kind, _values(path, name, kind, ids, values)))
    return FeatureFile(FeatureTable(path.name, ids, tuple(found)), tuple(names))


def check_declared(kinds: DeclaredKinds, names: Mapping[Side, Sequence[str]]) -> None:
    """Refuses kinds of features that no table has.

    Args:
      kinds: What is said.
      names: All columns of each side that there is.

    Raises:
      ValueError: One is of no column.
    """
    for side, named in (("item", kinds.item), ("user", kinds.user)):
        accepted = {*names.get(side, ())}
        if not kinds.alone:  # a name counts for whichever side has it
            accepted = {name for of_side in names.values() for name in of_side}
        for name in named:
            if name not in accepted:
                raise ValueError(
                    f"`kinds` must name features that there are: "
                    f"{', '.join(sorted(accepted)) or 'none'}. Received: {str(name)[:80]!r}."
                )


def _check_once(path: Path, side: str, ids: np.ndarray) -> None:
    known, place = distinct(ids)
    if len(known) < len(ids):
        counts = np.bincount(place)
        twice = np.flatnonzero(counts[place] > 1)
        of_first = np.flatnonzero(place == place[twice[0]])
        raise ValueError(
            f"{path} must have each {side} once. Received: {str(ids[of_first[0]])[:80]!r} in the "
            f"rows {of_first[0] + 1} and {of_first[1] + 1} of its {len(ids)} rows."
        )


def _values(
    path: Path, name: str, kind: str, ids: np.ndarray, values: Sequence[Any]
) -> Sequence[Any]:
    """The values of a column as its kind has them."""
    if kind == "vector":
        return _vectors(path, name, ids, values)
    if kind == "multi-hot":
        return [_members(value) for value in values]
    texts = [value if isinstance(value, str) else _joined(value) for value in values]
    return finite_numbers(path, name, ids.tolist(), texts) if kind == "numeric" else texts


def _members(value: Any) -> tuple[str, ...]:
    parts = [value] if isinstance(value, str) else map(_text, value or ())
    split = (member for part in parts for member in part.split(_SEPARATOR))
    return tuple(dict.fromkeys(member for member in split if member))


def _joined(value: Sequence[Any] | None) -> str:
    return " ".join(map(_text, value or ()))


def _text(value: Any) -> str:
    """A list's member as a text would hold it: whole numbers without a point."""
    if value is None:
        return ""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def _vectors(path: Path, name: str, ids: np.ndarray, values: Sequence[Any]) -> np.ndarray:
    """float32 [N, w], rows of NaN where there is none; text: numbers with blanks between."""
    vectors = [value.split() if isinstance(value, str) else value for value in values]
    width = max((len(vector) for vector in vectors if vector), default=0)
    matrix = np.full([len(values), width], np.nan, np.float32)
    for row, vector in enumerate(vectors):
        if not vector:
            continue
        try:
            numbers = [float(number) for number in vector]
        except (TypeError, ValueError):
            numbers = [np.nan]
        if len(numbers) != width or not all(abs(number) <= _LARGEST for number in numbers):
            raise ValueError(
                f"Column {name!r} of {path} must hold vectors of {width} finite numbers (float32). "
                f"Received: {str(values[row])[:60]} in row {row + 1} of its {len(values)} rows, "
                f"that of {ids[row]}. Leave it empty where the vector is unknown."
            )
        matrix[row] = numbers
    return matrix


def guessed_kind(values: Sequence[Any]) -> str:
    """The kind of a column that nothing was said of.

    Args:
      values: Text, "" where nothing is known; or lists of text or of floats, None where nothing is.
    """
    lists = [value for value in values if isinstance(value, list)]
    if lists:
        kinds = {type(member) for value in lists for member in value} - {type(None)}
        of_one_length = len({len(value) for value in lists}) == 1
        return "vector" if kinds == {float} and of_one_length else "multi-hot"
    known = [value for value in values if value]
    if _are_numbers(known):
        return "numeric"
    if any(_SEPARATOR in value for value in known):
        return "multi-hot"
    several = sum(len(value.split()) > 1 for value in known)
    many = len(set(known)) * 10 > len(known)
    return "text" if 2 * several > len(known) and many else "categorical"


def _are_numbers(values: Sequence[str]) -> bool:
    """Whether all are numbers and none is a code that begins with 0.

    NaN and infinite ones count: they are refused where they stand.
    """
    for value in values:
        is_number = _NUMBER.match(value) and not _CODE.match(value)
        if not is_number and not _NOT_FINITE.fullmatch(value):
            return False
    return bool(values)
