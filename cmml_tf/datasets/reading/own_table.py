"""A table of one's own: a file, or a folder with the parts of one; what its columns are called."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.reading.columns import Column, folded
from cmml_tf.datasets.reading.formats import fields_of, file_format, first_line
from cmml_tf.datasets.reading.parquet_file import open_parquet
from cmml_tf.datasets.reading.read_logs import Log
from cmml_tf.datasets.reading.table_names import check_table, table_files, table_stem
from cmml_tf.datasets.reading.text_file import open_text
from cmml_tf.datasets.reading.times import Times

USER = Column("user", "id", ("user_id", "userId"))
ITEM = Column("item", "id", ("item_id", "itemId", "movie_id", "movieId"))
VALUE = Column("value", "float", ("rating",), needed=False)
SCENARIO = Column("scenario", "id", ("scenario_id",), needed=False, may_be_empty=True)
TIMESTAMP = Column("timestamp", "time", ("time", "ts", "date", "datetime", "event_time"))
_SEPARATORS = (",", ";", "\t", "|")


class OwnTable(NamedTuple):
    """A table whose files are open, not read.

    Attributes:
      name: Of the file without suffixes, or of the folder.
      logs: Its files, in the order of their names.
      header: Names of all columns, as the first file has them.
    """

    name: str
    logs: tuple[Log, ...]
    header: tuple[str, ...]


def interaction_columns(definition: str, times: Times = "none") -> tuple[Column, ...]:
    """The columns of a table of interactions, under a definition of scenarios."""
    name = definition.removeprefix("column:") if definition.startswith("column:") else "scenario"
    columns = [USER, ITEM, VALUE]
    if name == SCENARIO.name:
        columns.append(SCENARIO)
    elif name not in (USER.name, ITEM.name, VALUE.name):
        columns.append(Column(name, "id", (), needed=False, may_be_empty=True))
    if name != TIMESTAMP.name:
        columns += time_column(TIMESTAMP, times)
    return tuple(columns)


def time_column(needed: Column, times: Times) -> list[Column]:
    """The column of times as it is wanted: not, where there is one, or in every row.

    Args:
      needed: It, as it is where every row must have a time.
      times: How it is wanted.
    """
    if times == "loose":
        needed = needed._replace(kind="loose-time", needed=False, may_be_empty=True)
    return [] if times == "none" else [needed]


def open_table(path: Path, columns: Sequence[Column], config: ReadConfig) -> OwnTable:
    """Opens a table.

    Args:
      path: A file, or a folder with the parts of one table.
      columns: What is wanted.
      config: `columns` says what is called otherwise.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: A file is empty, damaged, no table or lacks a column, or the files of a folder
        have different columns.
    """
    check_table(path)
    files = table_files(path)
    names = {column.name for column in columns}
    given = {name: called for name, called in config.given.items() if name in names}
    if len(files) > 1:
        _check_parts(path, {file: header_of(file) for file in files})
    logs = [open_table_file(file, columns, given) for file in files]
    name = table_stem(files[0]) if len(files) == 1 else path.resolve().name
    return OwnTable(name, tuple(logs), logs[0].header)


def as_features_are_read(read: ReadConfig, side: str, path: Path) -> ReadConfig:
    """How a table of features is read: what the log's columns are called need not be so here.

    Args:
      read: How the log is read. Of its names only that of the ids counts, where the table has it.
      side: `item` or `user`.
      path: The table.
    """
    called = read.given.get(side)
    if called is None or folded(called) not in map(folded, header_of(table_files(path)[0])):
        return replace(read, columns=None)
    return replace(read, columns=f"{side}={called}")


def open_table_file(path: Path, columns: Sequence[Column], given: Mapping[str, str]) -> Log:
    """Opens one file, text or parquet.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is empty, damaged, or lacks a column.
    """
    if file_format(path) == "parquet":
        return open_parquet(path, columns, given)
    return open_text(path, _SEPARATORS, columns, header=True, given=given)


def find_table(folder: Path, name: str) -> Path | None:
    """The table of a folder that has this name: a file with any suffix, or a folder of parts.

    Raises:
      ValueError: There are several.
    """
    found = [file for file in table_files(folder) if table_stem(file) == name]
    if (folder / name).is_dir() and table_files(folder / name):
        found.append(folder / name)
    if len(found) > 1:
        raise ValueError(
            f"{folder} must have one table {name}. "
            f"Received: {', '.join(file.name for file in found)}."
        )
    return found[0] if found else None


def header_of(path: Path) -> tuple[str, ...]:
    """The names of all columns of a file.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is empty, damaged or no table.
    """
    kind = file_format(path)
    if kind == "parquet":
        return open_parquet(path, ()).header
    line, _, _ = first_line(path, kind)
    return tuple(max((fields_of(line, one) for one in _SEPARATORS), key=len))


def _check_parts(folder: Path, headers: Mapping[Path, Sequence[str]]) -> None:
    if len({tuple(sorted(map(folded, names))) for names in headers.values()}) > 1:
        found = "; ".join(f"{file.name} has {', '.join(names)}" for file, names in headers.items())
        raise ValueError(
            f"The tables in the folder {folder} must have the same columns, as the parts of one "
            f"table have. Received: {found[:1000]}. Give the file of the interactions, or a folder "
            "with its parts alone."
        )
