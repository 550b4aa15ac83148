"""Reading a log from beginning to end: what does not parse is left out, counted and limited."""

from collections.abc import Iterator

import numpy as np

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.log_file import LogFile


class MalformedLines:
    """Counts the lines that were left out, and says when they are too many.

    Args:
      config: `max_malformed` is the limit.
    """

    def __init__(self, config: ReadConfig) -> None:
        self._limit = config.max_malformed
        self._first: tuple[LogFile, tuple[int, int]] | None = None
        self.count = 0

    def add(self, log: LogFile, block: tuple[int, int], malformed: int) -> None:
        """Counts the malformed lines of a block.

        Raises:
          ValueError: There are more than allowed; the message has the first one.
        """
        if malformed and self._first is None:
            self._first = log, block
        self.count += malformed
        if self.count > self._limit:
            log, block = self._first
            raise ValueError(malformed_message(log, block, self.count, self._limit))


def malformed_message(log: LogFile, block: tuple[int, int], count: int, limit: int) -> str:
    """The sentence that refuses a file; `block` is the first with a malformed line."""
    number, text = log.first_malformed(block) or (0, "")
    many = "" if limit == 0 else f" {count} such lines were read, max_malformed={limit}."
    return (
        f"Line {number} of {log.path} must hold {log.form}. Received: {text[:80]!r}.{many} The "
        "file is truncated or damaged; get it again, or raise `max_malformed` to leave such lines "
        "out."
    )


def read_log(
    log: LogFile, config: ReadConfig, malformed: MalformedLines
) -> Iterator[dict[str, np.ndarray]]:
    """The columns of a log, block by block; memory holds one block.

    Raises:
      ValueError: More lines are malformed than allowed; the message has the first one.
    """
    for block in log.blocks(config.block_bytes):
        columns, left_out = log.read(block)
        malformed.add(log, block, left_out)
        yield columns
