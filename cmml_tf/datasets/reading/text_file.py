"""Delimited text as blocks of lines, which can be read in any order, by any process."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cmml_tf.datasets.reading.columns import Column, find_columns, folded
from cmml_tf.datasets.reading.formats import (
    damaged,
    fields_of,
    file_format,
    first_line,
    line_end,
    open_bytes,
)
from cmml_tf.datasets.reading.lines import LineLayout, read_lines
from cmml_tf.datasets.reading.malformed import Block, Span

_PART = 1 << 16
_COPIED = 16 << 20
_LONGEST_LINE = 256 << 20


@dataclass(frozen=True)
class TextFile:
    """A delimited file whose columns are known.

    Attributes:
      path: The file, as messages call it.
      stored: Where its bytes are: the file, or an unpacked copy.
      packing: `text`, or how `stored` is packed: `gzip`, `zstd`.
      header: Names of all columns; empty where the file has no header.
      form: What a line holds, in words.
      layout: What a line holds.
      spaces: `id` column -> what it is an id of.
      start: First byte behind the header.
    """

    path: Path
    stored: Path
    packing: str
    header: tuple[str, ...]
    form: str
    layout: LineLayout
    spaces: Mapping[str, str]
    start: int

    @property
    def is_packed(self) -> bool:
        """Whether its blocks can be read one after the other only."""
        return self.packing != "text"

    @property
    def kinds(self) -> Mapping[str, str]:
        """Column name -> its kind, as `Column` has it."""
        return self.layout.kinds

    def only(self, names: Sequence[str]) -> "TextFile":
        """The same file with these columns read, as far as it has them."""
        kept = [name for name in names if name in self.kinds]
        layout = replace(
            self.layout,
            positions={name: self.layout.positions[name] for name in kept},
            kinds={name: self.kinds[name] for name in kept},
        )
        spaces = {name: self.spaces[name] for name in kept if name in self.spaces}
        return replace(self, layout=layout, spaces=spaces)

    def content(self) -> Iterator[bytes]:
        """All its bytes, unpacked, part by part.

        Raises:
          ValueError: It cannot be unpacked.
        """
        try:
            with open_bytes(self.stored, self.packing) as file:
                while part := file.read(_COPIED):
                    yield part
        except OSError as error:
            raise ValueError(damaged(self.path, error)) from error

    def unpacked(self, copy: Path) -> "TextFile":
        """The same file, whose bytes are in a copy that is not packed."""
        return replace(self, stored=copy, packing="text")

    def blocks(self, block_bytes: int) -> list[Span]:
        """(first byte, byte behind the last) of blocks of about `block_bytes`, whole lines.

        Raises:
          ValueError: The file is packed (its blocks are read one after the other only), or a line
            has no end.
        """
        if self.is_packed:
            raise ValueError(f"{self.path} must be unpacked before it is divided.")
        size = self.stored.stat().st_size
        bounds = [self.start]
        with self.stored.open("rb") as file:
            while bounds[-1] + block_bytes < size:
                # From the byte before, so that the two characters of a line's end stay together.
                place = bounds[-1] + block_bytes - 1
                file.seek(place)
                rest = b""
                while (end := line_end(rest, 0)) is None and len(rest) < size - place:
                    rest += file.read(max(_PART, len(rest)))
                    self._check_length(len(rest) if line_end(rest, 0) is None else 0)
                bounds.append(size if end is None else place + end)
        if bounds[-1] < size:
            bounds.append(size)
        return list(itertools.pairwise(bounds))

    def read(self, span: Span, whole: frozenset[str] = frozenset()) -> Block:
        """The columns of a block; the `id` columns `whole` must hold integers."""
        with self.stored.open("rb") as file:
            file.seek(span[0])
            return read_lines(file.read(span[1] - span[0]), self.layout, whole)

    def read_all(
        self, block_bytes: int, whole: frozenset[str] = frozenset()
    ) -> Iterator[tuple[Span, Block]]:
        """All blocks from the first to the last, with where they are; one is in memory at a time.

        Raises:
          ValueError: The file cannot be unpacked, or a line has no end.
        """
        if not self.is_packed:
            for span in self.blocks(block_bytes):
                yield span, self.read(span, whole)
            return
        place, rest = self.start, b""
        try:
            with open_bytes(self.stored, self.packing) as file:
                file.read(place)
                while True:
                    more = file.read(block_bytes)
                    rest += more
                    end = _last_line_end(rest) if more else len(rest)
                    self._check_length(len(rest) - end)
                    if end:
                        span = place, place + end
                        yield span, read_lines(rest[:end], self.layout, whole)
                        place, rest = span[1], rest[end:]
                    if not more:
                        return
        except OSError as error:
            raise ValueError(damaged(self.path, error)) from error

    def rows_about(self) -> int:
        """How many lines there are, as the first ones let expect."""
        with self.stored.open("rb") as file:
            file.seek(self.start)
            head = file.read(_PART)
        lines = max(1, head.count(b"\n"), head.count(b"\r"))
        return math.ceil((self.stored.stat().st_size - self.start) * lines / max(1, len(head)))

    def line_number(self, span: Span, line: int) -> int:
        """The number of a block's line in the file, 1 the first."""
        number, left, last = 1 + line, span[0], b""
        with open_bytes(self.stored, self.packing) as file:
            while left > 0:
                part = file.read(min(left, 1 << 24))
                number += part.count(b"\n") + part.count(b"\r") - part.count(b"\r\n")
                number -= last == b"\r" and part[:1] == b"\n"
                left, last = left - len(part), part[-1:]
        return number

    def _check_length(self, bytes_of_a_line: int) -> None:
        if bytes_of_a_line > _LONGEST_LINE:
            raise ValueError(
                f"The file {self.path} has a line of more than {_LONGEST_LINE >> 20} MiB, so it is "
                "no table. Give a file with a row a line."
            )


def open_text(
    path: Path,
    separators: Sequence[str],
    columns: Sequence[Column],
    header: bool | None = None,
    given: Mapping[str, str] | None = None,
    quotes: bool = True,
    latin_1: bool = False,
    exact: bool = False,
) -> TextFile:
    """Finds the columns of a delimited file.

    Args:
      path: The file; it may be packed.
      separators: What may stand between fields, more than one character is allowed; the first under
        which the header has what is needed.
      columns: What is wanted.
      header: The first line names the columns; None: where it does, told by a name of the first
        column.
      given: Column -> what the header calls it.
      quotes: Whether fields may be in quotes.
      latin_1: Whether what is not UTF-8 is Latin-1.
      exact: Whether a line has these fields and no others (the first line decides otherwise).

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is empty, no text, or lacks a needed column.
    """
    kind = file_format(path)
    if kind == "parquet":
        raise ValueError(f"The file {path} must be text. Received: a parquet file.")
    line, begin, end = first_line(path, kind)
    positions, names, separator = _place(
        path, line, separators, columns, header, given or {}, exact
    )
    if exact:
        positions = {column.name: place for place, column in enumerate(columns)}
    has_header = _is_header(names, columns, header)
    single = len(separator) == 1
    width = len(columns) if exact else len(names)
    found = [column for column in columns if column.name in positions]
    return TextFile(
        path=path,
        stored=path,
        packing=kind,
        header=tuple(names) if has_header else (),
        form=_form(positions, separator, width, exact),
        layout=LineLayout(
            delimiter=separator.encode() if single else b"\t",
            width=width,
            positions=positions,
            kinds={column.name: column.kind for column in found},
            may_be_empty=frozenset(column.name for column in columns if column.may_be_empty),
            quotes=quotes and single,
            replacements=() if single else ((separator.encode(), b"\t"),),
            latin_1=latin_1,
        ),
        spaces={c.name: c.space or c.name for c in found if c.kind == "id"},
        start=end if has_header else begin,
    )


def _form(positions: Mapping[str, int], separator: str, width: int, exact: bool) -> str:
    if exact:
        return f"{width} fields with {separator!r} between ({', '.join(positions)})"
    return f"{', '.join(positions)} with {separator!r} between, {width} fields in all"


def _place(
    path: Path,
    line: str,
    separators: Sequence[str],
    columns: Sequence[Column],
    header: bool | None,
    given: Mapping[str, str],
    exact: bool,
) -> tuple[dict[str, int], list[str], str]:
    """Places of the columns, the fields of the first line, and the separator."""
    faults = []
    for separator in separators:
        names = fields_of(line, separator)
        if _is_header(names, columns, header):
            try:
                return find_columns(path, names, columns, given), names, separator
            except ValueError as error:
                faults.append((-len(names), error))
        elif exact or len(names) >= sum(column.needed for column in columns):
            places = {column.name: place for place, column in enumerate(columns[: len(names)])}
            return places, names, separator
    if faults:
        raise min(faults, key=lambda fault: fault[0])[1]
    raise ValueError(
        f"Line 1 of {path} must hold {', '.join(c.name for c in columns)} with "
        f"{separators[0]!r} between. Received: {line[:80]!r}. The file is truncated or damaged; "
        "get it again."
    )


def _is_header(fields: Sequence[str], columns: Sequence[Column], header: bool | None) -> bool:
    if header is not None:
        return header
    names = {folded(name) for name in (columns[0].name, *columns[0].aliases)}
    return bool(names & {folded(field) for field in fields})


def _last_line_end(content: bytes) -> int:
    """The byte behind the last line's end; 0 without one."""
    end = max(content.rfind(b"\n"), content.rfind(b"\r"))
    if end == len(content) - 1 and content[end:] == b"\r":  # a line feed may follow
        end = max(content.rfind(b"\n", 0, end), content.rfind(b"\r", 0, end))
    return end + 1
