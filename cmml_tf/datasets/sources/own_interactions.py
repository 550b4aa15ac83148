"""A table of one's own as interactions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.interactions import Interactions, without_catalogue
from cmml_tf.datasets.reading.malformed import MalformedLines
from cmml_tf.datasets.reading.own_table import OwnTable, interaction_columns, open_table
from cmml_tf.datasets.reading.read_logs import Columns, as_series, read_logs
from cmml_tf.datasets.reading.times import Times, seconds_of

FILES = "files of the table"
MALFORMED = "malformed lines, left out"


def load_table(
    path: str | Path,
    definition: str = "column:scenario",
    read: ReadConfig | None = None,
    times: Times = "loose",
) -> Interactions:
    """Reads a table of interactions.

    Columns `user` and `item` are needed; `value` (a rating) is 1 where the table has none;
    `scenario` or any other column can define the scenarios. A row without a scenario is in none.

    Args:
      path: A text or parquet file, or a folder with the parts of one table.
      definition: Says which column defines the scenarios (`column:NAME`).
      read: Block size, names of columns, and how many malformed lines are left out.
      times: Whether times are read, and must be there.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: A file is damaged or lacks a column, or more lines are malformed than allowed; the
        message has the first one.
    """
    read = ReadConfig() if read is None else read
    table = open_table(Path(path), interaction_columns(definition, times), read)
    malformed = MalformedLines(read)
    frame = table_frame(read_logs(table.logs, read, malformed))
    counts = left_out(table, malformed)
    return Interactions(table.name, frame, without_catalogue(), counts=counts, columns=table.header)


def table_frame(parts: Sequence[Columns]) -> pd.DataFrame:
    """The rows of a table's files, one behind the other; value 1 and time 0 where it has none."""
    frames = []
    for part in parts:
        rows = len(part["user"])
        columns = {"value": np.ones(rows), "timestamp": seconds_of(None, rows)}
        for name, column in part.items():
            is_time = name == "timestamp" and pa.types.is_floating(column.type)
            columns[name] = seconds_of(column, rows) if is_time else as_series(column)
        frames.append(pd.DataFrame(columns, copy=False))
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def left_out(table: OwnTable, malformed: MalformedLines) -> dict[str, int]:
    """Counts of a table that was read: its files, where it has several, and malformed lines."""
    counts = {FILES: len(table.logs)} if len(table.logs) > 1 else {}
    return counts | ({MALFORMED: malformed.count} if malformed.count else {})
