"""What is prepared: the logs of a source, opened but not read."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from cmml_tf.config import ReadConfig, ScenarioConfig
from cmml_tf.datasets.check_source import refuse_columns
from cmml_tf.datasets.interactions import without_catalogue
from cmml_tf.datasets.layouts import GROUPLENS_ARCHIVES, is_movielens, is_taobao
from cmml_tf.datasets.reading.own_table import interaction_columns, open_table
from cmml_tf.datasets.reading.read_logs import Log
from cmml_tf.datasets.reading.table_names import table_files
from cmml_tf.datasets.reading.text_file import TextFile
from cmml_tf.datasets.reading.times import Times
from cmml_tf.datasets.sources.download import download_movielens
from cmml_tf.datasets.sources.movielens import movielens_catalogue, movielens_log
from cmml_tf.datasets.sources.own_interactions import FILES
from cmml_tf.datasets.sources.taobao import (
    taobao_embedding_files,
    taobao_logs,
    taobao_pool_log,
)
from cmml_tf.datasets.sources.text_embeddings import open_text_embeddings


@dataclass(frozen=True)
class RawSource:
    """A source of interactions.

    Attributes:
      name: E.g. `ml-20m`.
      logs: Columns user, item, and of value, timestamp and scenario what there is and is needed.
      columns: All columns of the logs, for messages.
      catalogue: As `Interactions` has it.
      definition: What a scenario is: the configured one, or `column:scenario` where the source
        knows nothing of its items.
      by_column: Whether the column `scenario` of the logs says it.
      pool: Columns scenario and item: further candidates.
      embeddings: Of users and items.
      counts: What there is to say of the files.
    """

    name: str
    logs: tuple[Log, ...]
    columns: tuple[str, ...]
    catalogue: pd.DataFrame
    definition: str
    by_column: bool
    pool: TextFile | None = None
    embeddings: tuple[TextFile, TextFile] | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def has_times(self) -> bool:
        """Whether times are read; a log that has none may stand beside one that does."""
        return any("timestamp" in log.kinds for log in self.logs)

    def files(self) -> list[Path]:
        """All files that are read as logs."""
        logs = [*self.logs, *([] if self.pool is None else [self.pool]), *(self.embeddings or ())]
        return [log.path for log in logs]


def open_raw_source(
    data: str,
    scenario: ScenarioConfig,
    read: ReadConfig,
    times: Times,
) -> RawSource:
    """Opens what `data` names.

    Args:
      data: A folder in MovieLens' or Taobao's layout, a GroupLens name, a table, or a folder with
        the parts of one.
      scenario: Says which column defines scenarios.
      read: Says what a table calls its columns.
      times: Whether times are read, and must be there.

    Raises:
      ValueError: It is none of these, or a file is empty or lacks a column.
      FileNotFoundError: A file of the data set is missing.
    """
    path = Path(data).expanduser().absolute()  # workers may stand in other folders
    if not path.exists() and data in GROUPLENS_ARCHIVES:
        path = download_movielens(data)
    name = path.resolve().name
    published = path.is_dir() and (is_movielens(path) or is_taobao(path))
    refuse_columns(read, not published, data)
    if path.is_dir() and is_movielens(path):
        return _source(name, [movielens_log(path, times)], movielens_catalogue(path), scenario)
    if published:
        source = _source(name, taobao_logs(path, times), without_catalogue(), scenario)
        files = taobao_embedding_files(path)
        embeddings = (
            None if files is None else tuple(map(open_text_embeddings, files, ("user", "item")))
        )
        # The pool speaks of themes, so it is of use where these are the scenarios.
        pool = taobao_pool_log(path) if source.definition == "column:scenario" else None
        return replace(source, pool=pool, embeddings=embeddings)
    if not path.exists() or not table_files(path):
        raise ValueError(
            f"`data` must be a folder as GroupLens or Taobao's theme clicks come, a GroupLens name "
            f"({', '.join(GROUPLENS_ARCHIVES)}), a table (.csv, .tsv or .parquet), or a folder "
            f"with the parts of one. Received: data={data!r}."
        )
    table = open_table(path, interaction_columns(scenario.definition, times), read)
    source = _source(table.name, list(table.logs), without_catalogue(), scenario)
    counts = {FILES: len(table.logs)} if len(table.logs) > 1 else {}
    return replace(source, columns=table.header, counts=counts)


def _source(
    name: str, logs: list[Log], catalogue: pd.DataFrame, scenario: ScenarioConfig
) -> RawSource:
    columns = tuple(logs[0].kinds)
    definition = scenario.definition
    if not definition.startswith("column:") and not len(catalogue) and "scenario" in columns:
        definition = "column:scenario"
    column = definition.removeprefix("column:")
    by_column = definition.startswith("column:") and column in columns
    wanted = [
        "user",
        "item",
        "value",
        "timestamp",
    ]  # a line without a number is malformed, used or not
    if by_column:
        wanted.append(column)
    read = tuple(log.only(wanted) for log in logs)
    return RawSource(name, read, columns, catalogue, definition, by_column)
