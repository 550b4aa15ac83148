"""A block of lines -> columns, and what is malformed in it.

A line ends with a line feed, a carriage return, or both; a row never spans lines. Blanks at the
ends of a field do not belong to it, and lines of nothing but blanks are passed over. Malformed is a
line with another number of fields, or with a field that is empty, no (finite) number, or no UTF-8
where it must not be; only the columns that are read are looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from cmml_tf.datasets.reading.ids import NUMBER, TEXT, WHOLE, integers_within, whole_or_text
from cmml_tf.datasets.reading.malformed import Block, Fault
from cmml_tf.datasets.reading.quotes import QUOTE, line_bounds, with_proper_quotes
from cmml_tf.datasets.reading.times import TIME_KINDS, read_times

_NUMBERS = {"int": pa.int64(), "loose": pa.int64(), "float": pa.float64(), "float32": pa.float32()}
_INTEGER = r"^[+-]?[0-9]+$"
_PARSED_BYTES = 4 << 20  # what one thread parses at a time


@dataclass(frozen=True)
class LineLayout:
    """What a line holds.

    Attributes:
      delimiter: One character, between fields (after the replacements).
      width: Fields of a line.
      positions: Column name -> its place in a line, for the columns that are read.
      kinds: Column name -> its kind, as `Column` has it.
      may_be_empty: Columns in which an empty field is no fault.
      quotes: Whether fields may be in quotes.
      replacements: Byte strings that are replaced before a line is divided.
      latin_1: Whether lines that are not UTF-8 are read as Latin-1.
    """

    delimiter: bytes
    width: int
    positions: Mapping[str, int]
    kinds: Mapping[str, str]
    may_be_empty: frozenset[str] = frozenset()
    quotes: bool = True
    replacements: tuple[tuple[bytes, bytes], ...] = ()
    latin_1: bool = False

    @property
    def blanks(self) -> str:
        """Characters that do not belong to a field at its ends."""
        return " \t".replace(self.delimiter.decode(), "")


def read_lines(content: bytes, layout: LineLayout, whole: frozenset[str]) -> Block:
    """Reads a block of whole lines.

    Args:
      content: The block.
      layout: What a line holds.
      whole: The `id` columns whose values must be integers: others are malformed.
    """
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = content
    for old, new in layout.replacements:
        content = content.replace(old, new)
    if layout.latin_1 and not _is_utf8(content):
        content = content.decode("latin-1").encode()
    quoted = layout.quotes and QUOTE in content
    if quoted:
        content = with_proper_quotes(content, layout.delimiter)
    if not content or content.isspace():
        return Block({name: no_values(kind) for name, kind in layout.kinds.items()})
    columns = None if b"\0" in content else _well_formed(content, layout, quoted, whole)
    if columns is not None:
        return Block(columns)
    return _with_faults(content, lines, layout, quoted, whole)


def no_values(kind: str) -> pa.ChunkedArray:
    """A column of this kind without rows; ids are integers while none is text."""
    others = {"id": pa.int64(), **dict.fromkeys(TIME_KINDS, pa.float64())}
    return pa.chunked_array([], (_NUMBERS | others).get(kind, TEXT))


def _well_formed(
    content: bytes, layout: LineLayout, quoted: bool, whole: frozenset[str]
) -> dict[str, pa.ChunkedArray] | None:
    """The columns if nothing is malformed; None otherwise, or where it is not sure."""
    if len(set(layout.positions.values())) < len(layout.positions):
        return None  # a column that is read twice, perhaps as two kinds
    types = {name: _NUMBERS.get(kind, TEXT) for name, kind in layout.kinds.items()}
    invalid: list[tuple[int, int]] = []
    try:
        table = _parse(content, layout, quoted, types, invalid, exact=False)
        if invalid:
            return None
        blanks = [blank for blank in layout.blanks if blank.encode() in content]
        columns = {}
        for name, kind in layout.kinds.items():
            column = table[name]
            if kind in ("id", "str", "value"):
                column = _trimmed(column, layout.blanks) if _is_padded(column, blanks) else column
            if kind == "id":
                column = whole_or_text(column)
                if name in whole and not pa.types.is_integer(column.type):
                    return None
            if kind in TIME_KINDS:
                times = read_times(column)
                if kind == "time" and times.null_count > column.null_count:
                    return None
                column = pa.chunked_array([times])
            if kind in ("float", "float32") and not pc.all(pc.is_finite(column)).as_py():
                return None
            if column.null_count and name not in layout.may_be_empty:
                return None
            columns[name] = column
    except pa.ArrowInvalid:
        return None
    return columns


def _with_faults(
    content: bytes, lines: bytes, layout: LineLayout, quoted: bool, whole: frozenset[str]
) -> Block:
    """The same, line by line: what is malformed is left out, and the first of it is told."""
    invalid: list[tuple[int, int]] = []
    types = dict.fromkeys(layout.kinds, pa.binary())
    table = _parse(content, layout, quoted, types, invalid, exact=True)
    starts, ends = line_bounds(lines)
    is_row = np.ones(len(starts), bool)
    is_row[[line for line, _ in invalid]] = False
    row_line = np.flatnonzero(is_row)
    blank = np.zeros(len(starts), bool)
    without_first = row_line[table.column(0).is_null().to_numpy()]
    for line in (*without_first, *(line for line, _ in invalid)):
        blank[line] = not lines[starts[line] : ends[line]].strip()
    good, columns = ~blank[row_line], {}
    reasons: dict[int, str] = {
        line: f"it has {fields} fields instead of {layout.width}"
        for line, fields in invalid
        if not blank[line]
    }
    for name, kind in layout.kinds.items():
        required = "whole" if name in whole else kind
        columns[name], faults = _checked(
            table[name].combine_chunks(), name, required, layout.blanks
        )
        if name not in layout.may_be_empty:
            empty = columns[name].is_null().to_numpy(zero_copy_only=False)
            faults.append((empty, f"column {name!r} is empty"))
        for mask, reason in faults:
            places = np.flatnonzero(mask & good)
            reasons.update((int(row_line[place]), reason) for place in places[:1])
            good &= ~mask
    kept = pa.array(good)
    columns = {name: pa.chunked_array([column.filter(kept)]) for name, column in columns.items()}
    for name, kind in layout.kinds.items():
        if kind == "id":
            columns[name] = whole_or_text(columns[name])
    malformed = int((~good & ~blank[row_line]).sum()) + sum(not blank[line] for line, _ in invalid)
    if not malformed:
        return Block(columns)
    first = min(reasons)
    text = lines[starts[first] : ends[first]].decode("utf-8", errors="replace")
    return Block(columns, malformed, Fault(first, text, reasons[first]))


def _checked(
    raw: pa.Array, name: str, kind: str, blanks: str
) -> tuple[pa.Array, list[tuple[np.ndarray, str]]]:
    """A column of bytes as values, null without one, and bool [N] for each kind of fault."""
    text, not_utf8 = _decoded(raw)
    faults = [(not_utf8, f"column {name!r} is not UTF-8")]
    text = _trimmed(text, blanks)
    present = text.is_valid().to_numpy(zero_copy_only=False)
    if kind in ("int", "whole", "loose"):
        values, fits = integers_within(text, WHOLE if kind == "whole" else _INTEGER)
        if kind == "loose":
            return values, []
        others = " as those of the other lines are" if kind == "whole" else ""
        faults.append((present & ~fits, f"column {name!r} is no integer of 64 bits{others}"))
        return values, faults
    if kind in ("float", "float32"):
        fits = pc.fill_null(pc.match_substring_regex(text, NUMBER), False)
        values = pc.if_else(fits, text, None).cast(_NUMBERS[kind])
        values = pc.if_else(pc.is_finite(values), values, None)
        none = present & values.is_null().to_numpy(zero_copy_only=False)
        faults.append((none, f"column {name!r} is no finite number"))
        return values, faults
    if kind in TIME_KINDS:
        values = read_times(text)
        if kind == "loose-time":
            return values, []
        none = present & values.is_null().to_numpy(zero_copy_only=False)
        faults.append((none, f"column {name!r} is no time: a date (ISO 8601) or seconds"))
        return values, faults
    if kind == "id":
        nul = pc.fill_null(pc.match_substring(text, "\0"), False).to_numpy(zero_copy_only=False)
        faults.append((nul, f"column {name!r} has a NUL character"))
    return text, faults


def _decoded(raw: pa.Array) -> tuple[pa.Array, np.ndarray]:
    try:
        return raw.cast(TEXT), np.zeros(len(raw), bool)
    except pa.ArrowInvalid:
        wrong = np.array([value is not None and not _is_utf8(value) for value in raw.to_pylist()])
        return pc.if_else(pa.array(wrong), None, raw).cast(TEXT), wrong


def _is_utf8(content: bytes) -> bool:
    if content.isascii():
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _trimmed(text: pa.ChunkedArray | pa.Array, blanks: str) -> pa.ChunkedArray | pa.Array:
    text = pc.utf8_trim(text, blanks)
    return pc.if_else(pc.equal(text, ""), None, text)


def _is_padded(text: pa.ChunkedArray, blanks: Sequence[str]) -> bool:
    """Whether a value begins or ends with a blank."""
    return any(
        pc.any(at_end(text, blank)).as_py()
        for blank in blanks
        for at_end in (pc.starts_with, pc.ends_with)
    )


def _parse(
    content: bytes,
    layout: LineLayout,
    quoted: bool,
    types: Mapping[str, pa.DataType],
    invalid: list,
    exact: bool,
) -> pa.Table:
    """The columns as Arrow parses them.

    Args:
      invalid: Is added (line, fields) of each line with another number of fields.
      exact: Every other line is a row, empty ones too; otherwise empty lines are passed over, and
        several threads parse, so that lines have no number.
    """
    names = [f"field {place}" for place in range(layout.width)]
    names_of = {}
    for name, place in layout.positions.items():
        names_of[name] = names[place]

    def reject(row: pa.csv.InvalidRow) -> str:
        invalid.append((row.number - 1 if exact else -1, row.actual_columns))
        return "skip"

    read_names = list(dict.fromkeys(names_of.values()))
    table = pa.csv.read_csv(
        pa.py_buffer(content),
        read_options=pa.csv.ReadOptions(
            column_names=names,
            use_threads=not exact,
            block_size=len(content) + 1 if exact else _PARSED_BYTES,
        ),
        parse_options=pa.csv.ParseOptions(
            delimiter=layout.delimiter.decode(),
            quote_char='"' if quoted else False,
            ignore_empty_lines=not exact,
            invalid_row_handler=reject,
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types={names_of[name]: kind for name, kind in types.items()},
            include_columns=read_names,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            check_utf8=not content.isascii(),  # where it is not UTF-8, ArrowInvalid is raised
        ),
    )
    return pa.table({name: table[names_of[name]] for name in layout.kinds})
