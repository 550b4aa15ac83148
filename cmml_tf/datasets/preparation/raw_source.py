"""What is prepared: the logs of a source, opened but not read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from cmml_tf.config import ScenarioConfig
from cmml_tf.datasets.download import GROUPLENS_ARCHIVES, download_movielens
from cmml_tf.datasets.interactions import without_catalogue
from cmml_tf.datasets.log_file import ABSENT, Column, LogFile, open_log
from cmml_tf.datasets.movielens import is_movielens, movielens_catalogue, movielens_log
from cmml_tf.datasets.table import TABLE_SUFFIXES
from cmml_tf.datasets.taobao import (
    is_taobao,
    taobao_embedding_files,
    taobao_logs,
    taobao_pool_log,
)
from cmml_tf.datasets.text_embeddings import open_text_embeddings


@dataclass(frozen=True)
class ParquetLog:
    """A parquet table, read by row groups; the counterpart of `LogFile`.

    Attributes:
      path: The file.
      kinds: Column name -> `int`, `float` or `str`.
    """

    path: Path
    kinds: dict[str, str]

    def only(self, names: Sequence[str]) -> "ParquetLog":
        """The same file with these columns read, as far as it has them."""
        return replace(self, kinds={name: self.kinds[name] for name in names if name in self.kinds})

    def blocks(self, block_bytes: int) -> list[tuple[int, int]]:
        """(row group, row group behind the last); a row group is in memory at a time."""
        del block_bytes
        groups = pa.parquet.read_metadata(self.path).num_row_groups
        return [(group, group + 1) for group in range(groups)]

    def read(self, block: tuple[int, int]) -> tuple[dict[str, np.ndarray], int]:
        """The columns of a block; rows without a user, an item or a finite value are malformed."""
        with pa.parquet.ParquetFile(self.path) as file:
            frame = file.read_row_group(block[0], columns=list(self.kinds)).to_pandas()
        absent = frame.drop(columns="scenario", errors="ignore").isna().any(axis=1).to_numpy()
        frame = frame[~absent]
        columns = {}
        for name, kind in self.kinds.items():
            column = frame[name]
            if kind == "float":
                columns[name] = column.to_numpy(np.float64)
            elif kind == "int":
                columns[name] = column.fillna(ABSENT).to_numpy(np.int64)
            else:
                columns[name] = column.fillna("").astype(str).to_numpy(str)
        return columns, int(absent.sum())

    def rows_about(self) -> int:
        """Rows."""
        return pa.parquet.read_metadata(self.path).num_rows

    def first_malformed(self, block: tuple[int, int]) -> tuple[int, str]:
        """The row group that has a malformed row, for messages."""
        return block[0], "a row of this row group without user, item or value"

    @property
    def form(self) -> str:
        """What a row holds, in words."""
        return ", ".join(self.kinds)


Log = LogFile | ParquetLog


@dataclass(frozen=True)
class RawSource:
    """A source of interactions.

    Attributes:
      name: E.g. `ml-20m`.
      logs: Columns user, item, and of value and scenario what there is and is needed.
      columns: All columns of the logs, for messages.
      catalogue: As `Interactions` has it.
      definition: What a scenario is: the configured one, or `column:scenario` where the source
        knows nothing of its items.
      by_column: Whether the column `scenario` of the logs says it.
      pool: Columns scenario and item: further candidates.
      embeddings: Of users and items.
    """

    name: str
    logs: tuple[Log, ...]
    columns: tuple[str, ...]
    catalogue: pd.DataFrame
    definition: str
    by_column: bool
    pool: LogFile | None = None
    embeddings: tuple[LogFile, LogFile] | None = None

    def files(self) -> list[Path]:
        """All files that are read as logs."""
        logs = [*self.logs, *([] if self.pool is None else [self.pool]), *(self.embeddings or ())]
        return [log.path for log in logs]


def open_raw_source(
    data: str, scenario: ScenarioConfig, cache_dir: str | Path | None = None
) -> RawSource:
    """Opens what `data` names.

    Args:
      data: A folder in MovieLens' or Taobao's layout, a GroupLens name, a .csv or .parquet table,
        or a folder with one.
      scenario: Says which column defines scenarios.
      cache_dir: Where downloads are kept; none: the user's cache folder.

    Raises:
      ValueError: It is none of these, or a file is empty or lacks a column.
      FileNotFoundError: A file of the data set is missing.
    """
    path = Path(data).expanduser().absolute()  # workers may stand in other folders
    if not path.exists() and data in GROUPLENS_ARCHIVES:
        path = download_movielens(data, cache_dir)
    name = path.resolve().name
    if path.is_dir() and is_movielens(path):
        return _source(name, [movielens_log(path)], movielens_catalogue(path), scenario)
    if path.is_dir() and is_taobao(path):
        source = _source(name, taobao_logs(path), without_catalogue(), scenario)
        files = taobao_embedding_files(path)
        embeddings = None if files is None else tuple(map(open_text_embeddings, files))
        # The pool speaks of themes, so it is of use where these are the scenarios.
        pool = taobao_pool_log(path) if source.definition == "column:scenario" else None
        return replace(source, pool=pool, embeddings=embeddings)
    tables = [path] if path.is_file() else []
    if path.is_dir():
        tables = [file for file in path.iterdir() if file.suffix in TABLE_SUFFIXES]
    if len(tables) != 1 or tables[0].suffix not in TABLE_SUFFIXES:
        raise ValueError(
            f"`data` must be a folder as GroupLens or Taobao's theme clicks come, a GroupLens name "
            f"({', '.join(GROUPLENS_ARCHIVES)}), a .csv or .parquet table, or a folder with one. "
            f"Received: data={data!r}."
        )
    table = tables[0]
    log = _open_csv(table, scenario) if table.suffix == ".csv" else _open_parquet(table)
    return _source(table.stem, [log], without_catalogue(), scenario)


def _source(
    name: str, logs: list[Log], catalogue: pd.DataFrame, scenario: ScenarioConfig
) -> RawSource:
    columns = tuple(logs[0].kinds)
    definition = scenario.definition
    if not definition.startswith("column:") and not len(catalogue) and "scenario" in columns:
        definition = "column:scenario"
    column = definition.removeprefix("column:")
    by_column = definition.startswith("column:") and column in columns
    wanted = ["user", "item"]
    if scenario.min_value is not None:
        wanted.append("value")
    if by_column:
        wanted.append(column)
    read = tuple(log.only(wanted) for log in logs)
    return RawSource(name, read, columns, catalogue, definition, by_column)


def _open_csv(path: Path, scenario: ScenarioConfig) -> LogFile:
    names = {"scenario"}
    if scenario.definition.startswith("column:"):
        names.add(scenario.definition.removeprefix("column:"))
    others = sorted(names - {"user", "item", "value", "timestamp"})
    columns = (
        Column("user", "id", ()),
        Column("item", "id", ()),
        Column("value", "float", (), needed=False),
        *(Column(name, "id", (), needed=False, may_be_empty=True) for name in others),
    )
    return open_log(path, ",", columns, header=True)


def _open_parquet(path: Path) -> ParquetLog:
    try:
        schema = pa.parquet.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(
            f"The table {path} is truncated or damaged ({error}). Write it again."
        ) from error
    for name in ("user", "item"):
        if name not in schema.names:
            raise ValueError(
                f"The table {path} must have a column {name!r}. "
                f"Received: {', '.join(schema.names)}."
            )
    kinds = {}
    for field in schema:
        whole = pa.types.is_integer(field.type)
        kinds[field.name] = "int" if whole else "str"
    if "value" in kinds:
        kinds["value"] = "float"
    return ParquetLog(path, kinds)
