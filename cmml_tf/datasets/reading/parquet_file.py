"""A parquet file as blocks of row groups, read as the same values that a text would give.

Ids are integers or text, as `ids` has it, whatever the type of their column: a column of floats, as
pandas writes integers some of which are missing, holds ids 1, 2, ...; one with a fraction, or from
2**53 on where floats no longer tell integers apart (2**24 in float32, 2**11 in float16), is
malformed. Decimals are read alike. Times are text without the zeros that their unit adds.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from cmml_tf.datasets.reading.columns import Column, find_columns
from cmml_tf.datasets.reading.formats import damaged
from cmml_tf.datasets.reading.ids import (
    NUMBER,
    TEXT,
    WHOLE,
    integers_within,
    is_text_type,
    whole_or_text,
)
from cmml_tf.datasets.reading.malformed import Block, Fault, Span
from cmml_tf.datasets.reading.times import TIME_KINDS, read_times

_NUMBERS = {"int": pa.int64(), "float": pa.float64(), "float32": pa.float32()}
_ACCEPTED = {
    "id": "integers or text",
    "str": "text",
    "value": "text, numbers or lists of one of them",
}
_EXACT_FLOATS = 2.0**53
_EXACT_BITS = {16: 11, 32: 24, 64: 53}
"""Of floats of so many bits, from which power of 2 on they no longer tell integers apart."""
Faults = list[tuple[np.ndarray, str]]


@dataclass(frozen=True)
class ParquetFile:
    """A parquet file whose columns are known; the counterpart of `TextFile`.

    Attributes:
      path: The file.
      header: Names of all columns.
      form: What a row holds, in words.
      names: Column -> what the file calls it, for the columns that are read.
      kinds: Column -> its kind, as `Column` has it.
      spaces: `id` column -> what it is an id of.
      may_be_empty: Columns in which a null is no fault.
    """

    path: Path
    header: tuple[str, ...]
    form: str
    names: Mapping[str, str]
    kinds: Mapping[str, str]
    spaces: Mapping[str, str]
    may_be_empty: frozenset[str]

    is_packed = False

    def only(self, names: Sequence[str]) -> "ParquetFile":
        """The same file with these columns read, as far as it has them."""
        kept = {name: self.kinds[name] for name in names if name in self.kinds}
        spaces = {name: self.spaces[name] for name in kept if name in self.spaces}
        return replace(self, kinds=kept, spaces=spaces)

    def blocks(self, block_bytes: int) -> list[Span]:
        """(row group, row group behind the last); a row group is in memory at a time."""
        del block_bytes
        return list(itertools.pairwise(range(self._metadata().num_row_groups + 1)))

    def read(self, span: Span, whole: frozenset[str] = frozenset()) -> Block:
        """The columns of a block; the `id` columns `whole` must hold integers.

        Raises:
          ValueError: The file is damaged, or a column holds what can be no id or number.
        """
        wanted = list(dict.fromkeys(self.names[name] for name in self.kinds))
        try:
            with pa.parquet.ParquetFile(self.path) as file:
                table = file.read_row_groups(list(range(*span)), columns=wanted)
        except (pa.ArrowInvalid, OSError) as error:
            raise ValueError(damaged(self.path, error)) from error
        good = np.ones(len(table), bool)
        columns, first = {}, {}
        for name, kind in self.kinds.items():
            raw = table[self.names[name]].combine_chunks()
            try:
                values, faults = _read(raw, "whole" if name in whole else kind)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                accepted = _ACCEPTED.get(kind, "numbers")
                raise ValueError(
                    f"Column {self.names[name]!r} of {self.path} must hold {accepted}. "
                    f"Received: {raw.type}."
                ) from error
            if name not in self.may_be_empty:
                faults.append((values.is_null().to_numpy(zero_copy_only=False), "is empty"))
            for mask, reason in faults:
                for place in np.flatnonzero(mask & good)[:1]:
                    first[int(place)] = f"column {name!r} {reason}"
                good &= ~mask
            columns[name] = values
        kept = pa.array(good)
        result = {}
        for name, values in columns.items():
            column = pa.chunked_array([values if good.all() else values.filter(kept)])
            is_text = self.kinds[name] == "id" and is_text_type(column.type)
            result[name] = whole_or_text(column) if is_text else column
        if not first:
            return Block(result)
        row = min(first)
        text = ", ".join(f"{name}={table[name][row].as_py()!r:.40}" for name in wanted)
        return Block(result, int((~good).sum()), Fault(row, text, first[row]))

    def read_all(
        self, block_bytes: int, whole: frozenset[str] = frozenset()
    ) -> Iterator[tuple[Span, Block]]:
        """All blocks from the first to the last, with where they are."""
        for span in self.blocks(block_bytes):
            yield span, self.read(span, whole)

    def rows_about(self) -> int:
        """Rows."""
        return self._metadata().num_rows

    def line_number(self, span: Span, line: int) -> int:
        """The number of a row in the file, 1 the first."""
        metadata = self._metadata()
        return 1 + line + sum(metadata.row_group(group).num_rows for group in range(span[0]))

    def _metadata(self) -> pa.parquet.FileMetaData:
        return pa.parquet.read_metadata(self.path)


def open_parquet(
    path: Path, columns: Sequence[Column], given: Mapping[str, str] | None = None
) -> ParquetFile:
    """Finds the columns of a parquet file.

    Args:
      path: The file.
      columns: What is wanted.
      given: Column -> what the file calls it.

    Raises:
      ValueError: The file is damaged or lacks a needed column.
    """
    try:
        header = pa.parquet.read_schema(path).names
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(damaged(path, error)) from error
    positions = find_columns(path, header, columns, given or {})
    found = [column for column in columns if column.name in positions]
    return ParquetFile(
        path=path,
        header=tuple(header),
        form=", ".join(positions),
        names={name: header[place] for name, place in positions.items()},
        kinds={column.name: column.kind for column in found},
        spaces={c.name: c.space or c.name for c in found if c.kind == "id"},
        may_be_empty=frozenset(column.name for column in columns if column.may_be_empty),
    )


def _read(raw: pa.Array, kind: str) -> tuple[pa.Array, Faults]:
    """Values, null where there are none, and bool [N] for each kind of fault."""
    if pa.types.is_dictionary(raw.type):
        raw = raw.dictionary_decode()
    if kind == "value":
        if is_list_type(raw.type):
            return _lists(raw), []
        kind = "str"
    if kind in TIME_KINDS:
        times = read_times(raw)
        none = times.is_null().to_numpy(zero_copy_only=False)
        none &= raw.is_valid().to_numpy(zero_copy_only=False)
        reason = "is no time: a date (ISO 8601) or seconds"
        return times, [] if kind == "loose-time" else [(none, reason)]
    if kind in ("float", "float32"):
        return _numbers(raw, _NUMBERS[kind])
    if kind == "str" and (pa.types.is_floating(raw.type) or pa.types.is_decimal(raw.type)):
        return _numbers_as_text(raw), []
    values, faults = _ids_or_text(raw)
    if is_text_type(values.type):
        values = pc.if_else(pc.equal(values, ""), None, values)
    if kind in ("id", "whole") and is_text_type(values.type):
        for found, reason in (
            (pc.match_substring_regex(values, "[\n\r]"), "has a line break"),
            (pc.match_substring(values, "\0"), "has a NUL character"),
        ):
            faults.append((pc.fill_null(found, False).to_numpy(zero_copy_only=False), reason))
    if kind in ("int", "whole") and is_text_type(values.type):
        values, fits = integers_within(values, WHOLE)
        present = raw.is_valid().to_numpy(zero_copy_only=False)
        faults.append((present & ~fits, "is no integer of 64 bits as those of other rows are"))
    if kind == "str" and not is_text_type(values.type):
        values = values.cast(TEXT)
    return values, faults


def is_list_type(kind: pa.DataType) -> bool:
    """Whether the values of a column of this type are lists."""
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _lists(raw: pa.Array) -> pa.Array:
    """Lists of float64 or of text."""
    member = raw.type.value_type
    if pa.types.is_dictionary(member):
        member = member.value_type
    if pa.types.is_integer(member) or pa.types.is_floating(member):
        return raw.cast(pa.list_(pa.float64()))
    if is_text_type(member) or pa.types.is_null(member):
        return raw.cast(pa.list_(TEXT))
    raise pa.ArrowInvalid(f"{raw.type} is no list of text or numbers")


def _numbers(raw: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Faults]:
    if pa.types.is_decimal(raw.type) or pa.types.is_boolean(raw.type):
        values = raw.cast(pa.float64() if pa.types.is_decimal(raw.type) else pa.int8()).cast(kind)
    elif pa.types.is_floating(raw.type) or pa.types.is_integer(raw.type):
        values = raw.cast(kind, safe=False)
    elif is_text_type(raw.type):
        text = pc.utf8_trim_whitespace(raw.cast(TEXT))
        numeric = pc.or_kleene(pc.equal(text, ""), pc.match_substring_regex(text, NUMBER))
        text = pc.if_else(pc.equal(text, ""), None, text)
        values = pc.if_else(numeric, text, "nan").cast(kind)
    else:
        raise pa.ArrowInvalid(f"{raw.type} is no number")
    finite = pc.fill_null(pc.is_finite(values), True).to_numpy(zero_copy_only=False)
    return values, [(~finite, "is no finite number")]


def _numbers_as_text(raw: pa.Array) -> pa.Array:
    """Numbers as a text would hold them: whole ones without a point, null for NaN."""
    if pa.types.is_decimal(raw.type):
        return pa.array(
            [None if value is None else f"{value:f}" for value in raw.to_pylist()], TEXT
        )
    # To float64 by way of the shortest text, so that the float32 0.1 is 0.1 still.
    numbers = raw.cast(pa.float32()) if pa.types.is_float16(raw.type) else raw
    text = numbers.cast(TEXT)
    values = text.cast(pa.float64())
    whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), _EXACT_FLOATS))
    integers = pc.if_else(whole, values, 0.0).cast(pa.int64()).cast(TEXT)
    return pc.if_else(pc.is_nan(values), None, pc.if_else(whole, integers, text))


def _ids_or_text(raw: pa.Array) -> tuple[pa.Array, Faults]:
    """int64, or text where a value is none."""
    kind = raw.type
    if pa.types.is_uint64(kind):
        top = pc.max(raw).as_py()
        if top is not None and top > np.iinfo(np.int64).max:
            return raw.cast(TEXT), []
    if pa.types.is_integer(kind):
        return raw.cast(pa.int64()), []
    if pa.types.is_floating(kind):
        numbers = raw.cast(pa.float64()).to_numpy(zero_copy_only=False)
        absent, bits = np.isnan(numbers), _EXACT_BITS[kind.bit_width]
        exact = (np.abs(numbers) < 2.0**bits) & (numbers == np.floor(numbers))
        values = pa.array(np.where(exact, numbers, 0).astype(np.int64), mask=~exact)
        float_ = "float" if bits == 53 else f"float{kind.bit_width}"
        limit = f"is no whole number below 2**{bits}, which a {float_} id must be"
        return values, [(~exact & ~absent, f"{limit}; write ids as text")]
    if pa.types.is_decimal(kind):
        texts = [None if value is None else _whole(value) for value in raw.to_pylist()]
        wrong = np.array([text == "" for text in texts], bool)
        values = pa.array([text or None for text in texts], TEXT)
        return values, [(wrong, "has a fraction; write ids as whole numbers or text")]
    if pa.types.is_boolean(kind):
        return pc.if_else(raw, "True", "False"), []
    if pa.types.is_nested(kind) or pa.types.is_duration(kind):
        raise pa.ArrowInvalid(f"{kind} is no id")
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        # Neither the unit nor what a file makes of it changes an id.
        text = pc.replace_substring_regex(raw.cast(TEXT), r"\.(\d*?)0+(\D|$)", r".\1\2")
        return pc.replace_substring_regex(text, r"\.(\D|$)", r"\1"), []
    if str(kind) == "extension<arrow.uuid>":
        return pa.array([None if one is None else str(one) for one in raw.to_pylist()], TEXT), []
    try:
        values = raw.cast(TEXT)
        values.validate(full=True)
        return values, []
    except pa.ArrowInvalid:
        found = raw.cast(pa.binary()).to_pylist()
    texts = [None if value is None else value.decode(errors="replace") for value in found]
    wrong = np.array(
        [v is not None and v != (t or "").encode() for v, t in zip(found, texts, strict=True)]
    )
    return pa.array(texts, TEXT), [(wrong, "is not UTF-8")]


def _whole(value) -> str:
    return str(int(value)) if value == value.to_integral_value() else ""
