"""Malformed lines: left out, counted, limited, and the first of them named."""

from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from cmml_tf.config import ReadConfig

Span = tuple[int, int]
"""Where a block begins and ends: bytes of a text, row groups of a parquet file."""


class Fault(NamedTuple):
    """A malformed line.

    Attributes:
      line: Its place in its block, 0 the first.
      text: The line.
      reason: What is wrong with it.
    """

    line: int
    text: str
    reason: str


class Block(NamedTuple):
    """What was read of a block.

    Attributes:
      columns: Name -> values. `int`, `float`, `float32` and `str` columns have no nulls unless they
        may be empty; an `id` column is int64 if all its values in the block are integers, as text
        they would be the same; else text.
      malformed: Lines that were left out.
      first: The first of them.
    """

    columns: dict[str, pa.ChunkedArray]
    malformed: int = 0
    first: Fault | None = None


class Readable(Protocol):
    """What messages need of a file."""

    path: Path
    form: str

    def line_number(self, span: Span, line: int) -> int:
        """The number of a block's line in its file, 1 the first."""


def malformed_message(log: Readable, span: Span, fault: Fault, count: int, limit: int) -> str:
    """The sentence that refuses a file.

    Args:
      log: The file.
      span: The block that has the first malformed line.
      fault: That line.
      count: Malformed lines that were read.
      limit: How many are allowed.
    """
    number = log.line_number(span, fault.line)
    many = "" if limit == 0 else f" {count} such lines were read, max_malformed={limit}."
    return (
        f"Line {number} of {log.path} must hold {log.form}. Received: {fault.text[:80]!r}; "
        f"{fault.reason}.{many} The file is truncated or damaged; mend it or get it again, or "
        "raise `max_malformed` (--read.max-malformed) to leave such lines out."
    )


class MalformedLines:
    """Counts the lines that were left out, and says when they are too many.

    Args:
      config: `max_malformed` is the limit.
    """

    def __init__(self, config: ReadConfig) -> None:
        self._limit = config.max_malformed
        self._first: tuple[Readable, Span, Fault] | None = None
        self.count = 0

    def add(self, log: Readable, span: Span, block: Block) -> None:
        """Counts the malformed lines of a block of a file.

        Raises:
          ValueError: There are more than allowed; the message has the first one.
        """
        if block.first is not None and self._first is None:
            self._first = log, span, block.first
        self.count += block.malformed
        if self.count > self._limit:
            raise ValueError(malformed_message(*self._first, self.count, self._limit))
