"""Files from beginning to end, into memory: ids of one kind, malformed lines counted."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.reading.ids import Seen, is_text_type, look_at, of_kind, settled
from cmml_tf.datasets.reading.lines import no_values
from cmml_tf.datasets.reading.malformed import Block, MalformedLines, Span
from cmml_tf.datasets.reading.parquet_file import ParquetFile
from cmml_tf.datasets.reading.text_file import TextFile

Log = TextFile | ParquetFile
Columns = dict[str, pa.ChunkedArray]
_ALL_AT_ONCE = 1 << 30


def read_logs(logs: Sequence[Log], config: ReadConfig, malformed: MalformedLines) -> list[Columns]:
    """The columns of files whose ids belong together.

    Args:
      logs: The files.
      config: Block size, and what is left out.
      malformed: Counts it.

    Returns:
      Name -> values for each file; the `id` columns of a space are int64 in all files, or text.

    Raises:
      ValueError: More lines are malformed than allowed; the message has the first one.
    """
    return read_groups([logs], config, [malformed])[0]


def read_groups(
    groups: Sequence[Sequence[Log]], config: ReadConfig, malformed: Sequence[MalformedLines]
) -> list[list[Columns]]:
    """The columns of groups of files, all of whose ids belong together, as `read_logs` has them.

    Args:
      groups: The files.
      config: Block size, and what is left out.
      malformed: Counts it, for each group.

    Raises:
      ValueError: More lines of a group are malformed than allowed; the message has the first one.
    """
    seen: dict[str, list[Seen]] = {}
    read = []
    for logs in groups:
        limited = MalformedLines(config)
        for log in logs:
            read.append(_read(log, config, frozenset(), limited))
            for name, space in log.spaces.items():
                for chunk in read[-1][0].get(name, ()):
                    seen.setdefault(space, []).append(seen_in(chunk, config))
    whole_spaces = settled(seen, config.max_malformed)
    waiting = iter(read)
    return [
        [_settled(log, *next(waiting), whole_spaces, config, count) for log in logs]
        for logs, count in zip(groups, malformed, strict=True)
    ]


def seen_in(column: pa.ChunkedArray, config: ReadConfig) -> Seen:
    """What the ids of a block look like, as closely as `settled` needs it."""
    if config.max_malformed == 0 and is_text_type(column.type):
        return Seen(0, 0, len(column))  # one of them is enough to make all ids text
    return look_at(column)


def read_texts(log: TextFile) -> dict[str, list]:
    """The columns of a small file; "" where a text is absent.

    Raises:
      ValueError: A line is malformed.
    """
    config = ReadConfig(block_mb=_ALL_AT_ONCE / 2**20)
    (columns,) = read_logs([log], config, MalformedLines(config))
    return {
        name: (pc.fill_null(column, "") if log.kinds[name] == "str" else column).to_pylist()
        for name, column in columns.items()
    }


def as_series(column: pa.ChunkedArray) -> pd.Series:
    """A column as pandas has it; integers of which some are absent as `Int64`."""
    if pa.types.is_integer(column.type) and column.null_count:
        absent = column.is_null().to_numpy()
        values = pc.fill_null(column, 0).to_numpy()
        return pd.Series(pd.arrays.IntegerArray(np.array(values), np.array(absent)))
    return column.to_pandas()


def _settled(
    log: Log,
    columns: dict[str, list[pa.ChunkedArray]],
    faults: list[tuple[Span, Block]],
    whole_spaces: Mapping[str, bool],
    config: ReadConfig,
    malformed: MalformedLines,
) -> Columns:
    """The columns when it is known which ids are integers."""
    whole = frozenset(name for name in columns if whole_spaces.get(log.spaces.get(name), False))
    if any(is_text_type(chunk.type) for name in whole for chunk in columns[name]):
        columns, faults = _read(log, config, whole, MalformedLines(config))
    for span, block in faults:
        malformed.add(log, span, block)
    return {
        name: _joined(columns.pop(name), kind, name in whole) for name, kind in log.kinds.items()
    }


def _read(
    log: Log, config: ReadConfig, whole: frozenset[str], malformed: MalformedLines
) -> tuple[dict[str, list[pa.ChunkedArray]], list[tuple[Span, Block]]]:
    """The columns, block by block, and where lines were left out."""
    columns: dict[str, list[pa.ChunkedArray]] = {name: [] for name in log.kinds}
    faults = []
    for span, block in log.read_all(config.block_bytes, whole):
        malformed.add(log, span, block)
        if block.malformed:
            faults.append((span, block._replace(columns={})))
        for name, column in block.columns.items():
            columns[name].append(column)
    return columns, faults


def _joined(chunks: list[pa.ChunkedArray], kind: str, whole: bool) -> pa.ChunkedArray:
    chunks = chunks or [no_values(kind)]
    if kind == "id":
        chunks = [of_kind(chunk, whole) for chunk in chunks]
    return pa.chunked_array([part for chunk in chunks for part in chunk.chunks], chunks[0].type)
