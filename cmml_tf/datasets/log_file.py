"""Large delimited logs, read a block of lines at a time into columns.

A block begins and ends at line boundaries, so blocks can be read in any order, by any process.
Lines that do not parse are left out and counted; what is too many is the caller's to say.
"""

import csv
import io
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

_TYPES = {
    "int": pa.int64(),
    "float": pa.float64(),
    "float32": pa.float32(),
    "str": pa.string(),
}
# Eighteen digits always fit an int64.
_PATTERNS = {
    "int": r"^\s*[+-]?\d{1,18}\s*$",
    "float": r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*$",
    "str": r"\S",
}
_PATTERNS["float32"] = _PATTERNS["float"]
_HEAD_BYTES = 1 << 16
ABSENT = int(np.iinfo(np.int64).min)
"""What an empty field of an integer column that may be empty is read as."""


class Column(NamedTuple):
    """A column that is wanted of a log.

    Attributes:
      name: As the reader calls it.
      kind: `int`, `float`, `str`, or `id`: `int` where the first lines hold integers, else `str`.
      aliases: Names that a header may give it beside its own, the published one first; case does
        not count. Without a header the columns stand in the order in which they are asked for.
      needed: A file with a header may lack it otherwise.
      may_be_empty: An empty field is no fault; it is read as `ABSENT` or "".
    """

    name: str
    kind: str
    aliases: tuple[str, ...]
    needed: bool = True
    may_be_empty: bool = False


@dataclass(frozen=True)
class LogFile:
    """A delimited file whose columns are known.

    Attributes:
      path: The file.
      form: What a line holds, in words.
      replacements: Byte strings that are replaced before lines are divided.
      delimiter: One character, between fields after that.
      width: Fields of a line.
      positions: Column name -> its place in a line, for the columns that are read.
      kinds: Column name -> `int`, `float`, `float32` or `str`.
      start: First byte behind the header.
      may_be_empty: Columns in which an empty field is no fault.
    """

    path: Path
    form: str
    replacements: tuple[tuple[bytes, bytes], ...]
    delimiter: str
    width: int
    positions: dict[str, int]
    kinds: dict[str, str]
    start: int
    may_be_empty: frozenset[str] = frozenset()

    def only(self, names: Sequence[str]) -> "LogFile":
        """The same file with these columns read, as far as it has them."""
        positions = {name: self.positions[name] for name in names if name in self.positions}
        return replace(
            self, positions=positions, kinds={name: self.kinds[name] for name in positions}
        )

    def blocks(self, block_bytes: int) -> list[tuple[int, int]]:
        """(first byte, byte behind the last) of blocks of about `block_bytes`, whole lines."""
        size = self.path.stat().st_size
        bounds = [self.start]
        with self.path.open("rb") as file:
            while bounds[-1] + block_bytes < size:
                file.seek(bounds[-1] + block_bytes)
                file.readline()
                bounds.append(file.tell())
        if bounds[-1] < size:
            bounds.append(size)
        return list(itertools.pairwise(bounds))

    def rows_about(self) -> int:
        """How many lines there are, as the first ones let expect."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            head = file.read(_HEAD_BYTES)
        lines = max(1, head.count(b"\n"))
        return math.ceil((self.path.stat().st_size - self.start) * lines / max(1, len(head)))

    def read(self, block: tuple[int, int]) -> tuple[dict[str, np.ndarray], int]:
        """The columns of a block, int64, float64 or str [N] each, and its malformed lines' number.

        Malformed is a line with another number of fields, an empty field, or one that is no
        (finite) number where one must be; only the columns that are read are looked at.
        """
        with self.path.open("rb") as file:
            file.seek(block[0])
            content = self._replaced(file.read(block[1] - block[0]))
        rejected: list[int] = []
        try:
            table = self._parse(content, _TYPES, rejected)
        except pa.ArrowInvalid:
            # One field at least is no number: all are read as text, and the good lines kept.
            rejected.clear()
            text = {kind: pa.string() for kind in _TYPES}
            table = self._parse(content, text, rejected)
            good = _every(
                pc.or_kleene(
                    pc.match_substring_regex(table[name], _PATTERNS[kind]),
                    self._is_allowed_null(table[name], name),
                )
                for name, kind in self.kinds.items()
            )
            rejected.extend([0] * (len(table) - pc.sum(good).as_py()))
            table = table.filter(good)
            table = pa.table(
                {
                    name: pc.utf8_trim_whitespace(table[name]).cast(_TYPES[kind])
                    for name, kind in self.kinds.items()
                }
            )
        good = _every(self._present(table[name], name) for name in self.kinds)
        kept = pc.sum(good).as_py() or 0
        malformed = len(rejected) + len(table) - kept
        if kept < len(table):
            table = table.filter(good)
        return {name: _array(table[name], kind) for name, kind in self.kinds.items()}, malformed

    def first_malformed(self, block: tuple[int, int]) -> tuple[int, str] | None:
        """Number and text of the first malformed line of a block; slow, for messages."""
        place = block[0]
        with self.path.open("rb") as file:
            file.seek(place)
            while place < block[1]:
                line = file.readline()
                if line.strip() and not self._fits(line):
                    text = line.decode("utf-8", errors="replace").rstrip("\r\n")
                    return self._line_number(place), text
                place += len(line)
        return None

    def _replaced(self, content: bytes) -> bytes:
        for old, new in self.replacements:
            content = content.replace(old, new)
        return content

    def _parse(self, content: bytes, types: dict, rejected: list[int]) -> pa.Table:
        names = [f"field {place}" for place in range(self.width)]
        for name, place in self.positions.items():
            names[place] = name

        def reject(row: pa.csv.InvalidRow) -> str:
            rejected.append(row.actual_columns)
            return "skip"

        if not content.strip():
            return pa.table({name: pa.array([], types[kind]) for name, kind in self.kinds.items()})
        return pa.csv.read_csv(
            pa.py_buffer(content),
            read_options=pa.csv.ReadOptions(
                column_names=names, use_threads=False, block_size=min(len(content) + 1, 1 << 30)
            ),
            parse_options=pa.csv.ParseOptions(delimiter=self.delimiter, invalid_row_handler=reject),
            convert_options=pa.csv.ConvertOptions(
                column_types={name: types[kind] for name, kind in self.kinds.items()},
                include_columns=list(self.positions),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )

    def _present(self, column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
        present = pc.or_kleene(column.is_valid(), self._is_allowed_null(column, name))
        if self.kinds[name] in ("float", "float32"):
            present = pc.and_(present, pc.fill_null(pc.is_finite(column), False))
        return present

    def _is_allowed_null(self, column: pa.ChunkedArray, name: str) -> pa.ChunkedArray | pa.Scalar:
        return column.is_null() if name in self.may_be_empty else pa.scalar(False)

    def _fits(self, line: bytes) -> bool:
        text = self._replaced(line).decode("utf-8", errors="replace").rstrip("\r\n")
        fields = next(csv.reader([text], delimiter=self.delimiter), [])
        return len(fields) == self.width and all(
            _is_of_kind(fields[place], self.kinds[name])
            or (name in self.may_be_empty and not fields[place])
            for name, place in self.positions.items()
        )

    def _line_number(self, place: int) -> int:
        number = 1
        with self.path.open("rb") as file:
            while place > 0:
                part = file.read(min(place, 1 << 24))
                number += part.count(b"\n")
                place -= len(part)
        return number


def open_log(
    path: Path, separator: str, columns: Sequence[Column], header: bool | None = None
) -> LogFile:
    """Finds the columns of a log.

    Args:
      path: The file.
      separator: Between fields; more than one character is allowed.
      columns: What is wanted.
      header: The first line names the columns; None: where it does, told by a name of the first
        column.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is empty, or lacks a needed column.
    """
    if not path.is_file():
        raise FileNotFoundError(f"The file {path} is missing. Give the complete folder.")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip():
        raise ValueError(f"The file {path} is empty. Get it again.")
    text = head.decode("utf-8-sig", errors="replace")
    lines = text.splitlines() if len(head) < _HEAD_BYTES else text.splitlines()[:-1]
    rows = [_fields(line, separator) for line in lines if line.strip()]
    found = [field.strip().lower() for field in rows[0]]
    if header is None:
        header = bool(_names(columns[0]) & set(found))
    positions = _by_name(path, rows[0], found, columns) if header else {}
    if not header:
        least = sum(column.needed for column in columns)
        if len(found) < least:
            raise ValueError(
                f"Line 1 of {path} must hold {', '.join(c.name for c in columns)} with "
                f"{separator!r} between. Received: {lines[0][:80]!r}. The file is truncated or "
                "damaged; get it again."
            )
        positions = {column.name: place for place, column in enumerate(columns[: len(found)])}
    data = rows[1:] if header else rows
    kinds = {}
    for column in columns:
        if column.name in positions:
            kinds[column.name] = column.kind
            if column.kind == "id":
                place = positions[column.name]
                values = [
                    row[place] for row in data if len(row) == len(found) and row[place].strip()
                ]
                whole = all(_is_of_kind(value, "int") for value in values[:100])
                kinds[column.name] = "int" if whole else "str"
    start = head.index(b"\n") + 1 if header and b"\n" in head else len(head) if header else 0
    single = len(separator) == 1
    return LogFile(
        path=path,
        form=f"{', '.join(positions)} with {separator!r} between, {len(found)} fields in all",
        replacements=() if single else ((separator.encode(), b"\t"),),
        delimiter=separator if single else "\t",
        width=len(found),
        positions=positions,
        kinds=kinds,
        start=start,
        may_be_empty=frozenset(column.name for column in columns if column.may_be_empty),
    )


def _by_name(
    path: Path, written: Sequence[str], found: Sequence[str], columns: Sequence[Column]
) -> dict[str, int]:
    positions = {}
    for column in columns:
        places = [place for place, name in enumerate(found) if name in _names(column)]
        if places:
            positions[column.name] = places[0]
        elif column.needed:
            published, *others = (*column.aliases, column.name)
            also = f" (or {', '.join(others)})" if others else ""
            raise ValueError(
                f"The file {path} must have a column {published!r}{also} in its first line. "
                f"Received: {', '.join(written)}."
            )
    return positions


def _names(column: Column) -> set[str]:
    return {name.lower() for name in (column.name, *column.aliases)}


def _fields(line: str, separator: str) -> list[str]:
    if len(separator) > 1:
        return line.split(separator)
    return next(csv.reader(io.StringIO(line), delimiter=separator), [])


def _is_of_kind(text: str, kind: str) -> bool:
    fits = re.search(_PATTERNS[kind], text) is not None
    return fits and (kind in ("int", "str") or bool(np.isfinite(float(text))))


def _every(masks: Iterable[pa.ChunkedArray]) -> pa.ChunkedArray:
    together = None
    for mask in masks:
        mask = pc.fill_null(mask, False)
        together = mask if together is None else pc.and_(together, mask)
    return together


def _array(column: pa.ChunkedArray, kind: str) -> np.ndarray:
    if column.null_count:  # of a column that may be empty
        column = pc.fill_null(column, "" if kind == "str" else ABSENT)
    values = column.to_numpy()
    return values.astype(str) if kind == "str" else values
