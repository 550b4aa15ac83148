"""Tables that a program gives, from memory or as paths."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import yaml

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.feature_table import Side
from cmml_tf.datasets.open_features import SIDES
from cmml_tf.datasets.reading.table_names import check_table, table_stem
from cmml_tf.datasets.sources.feature_file import check_declared, load_feature_table
from cmml_tf.datasets.sources.feature_kinds import DeclaredKinds

Table = Any
"""A pandas DataFrame, anything that Arrow or the DataFrame protocol reads, or a path."""


def write_folder(
    folder: Path,
    ratings: Table,
    features: Mapping[Side, Table | None],
    kinds: Mapping[str, str],
    read: ReadConfig | None = None,
) -> None:
    """The tables of the user setting as a folder that the commands read, too.

    Args:
      folder: It.
      ratings: Columns user, item and value.
      features: Of `item` and `user`, each with its id and a column a feature; None: none.
      kinds: Feature name to kind; of others, numbers are numeric and the rest categorical.
      read: How tables are read.

    Raises:
      FileNotFoundError: A path is of no table.
      TypeError: One is no table.
      ValueError: A table is damaged, or a kind is of no feature.
    """
    place_table(ratings, folder, "ratings")
    said = DeclaredKinds(kinds, kinds)
    declared: dict[str, dict[str, str]] = {}
    names: dict[Side, tuple[str, ...]] = {}
    for side in SIDES:
        table = features.get(side)
        if table is not None:
            found = load_feature_table(place_table(table, folder, f"{side}s"), side, said, read)
            names[side] = found.names
            declared[f"{side}s"] = {
                one.name: kinds.get(one.name, _numeric_or_not(one.kind))
                for one in found.table.columns
            }
    check_declared(said, names)
    (folder / "features.yaml").write_text(yaml.safe_dump(declared))


def place_table(table: Table, folder: Path, name: str) -> Path:
    """A table as a file or folder of parts that has this name: of one's own files a link.

    Returns:
      Where it is read from: there, or where one's own file is.

    Raises:
      FileNotFoundError: A path is of no table.
      TypeError: It is no table.
      ValueError: A file is not called as tables are, or a column has a type that no table has.
    """
    if not isinstance(table, str | Path):
        place, columns = folder / f"{name}.parquet", as_arrow(table)
        try:
            pa.parquet.write_table(columns, place)
        except pa.ArrowNotImplementedError as error:
            types = ", ".join(f"{one.name!r} ({one.type})" for one in columns.schema)
            raise ValueError(
                "Columns of a table must be of types that Parquet files have. "
                f"Received: {types[:1000]}; {error}"
            ) from error
        return place
    path = Path(table).expanduser().resolve()
    check_table(path)
    suffixes = "" if path.is_dir() else path.name[len(table_stem(path)) :]
    (folder / f"{name}{suffixes}").symlink_to(path)
    return path


def _numeric_or_not(kind: str) -> str:
    return kind if kind == "numeric" else "categorical"


def as_arrow(table: Table) -> pa.Table:
    """The table as Arrow holds it; a column of text and numbers is text, as in a file.

    Raises:
      TypeError: It is nothing of this kind.
      ValueError: A column holds what no table has.
    """
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pd.DataFrame):
        return _of_pandas(table)
    if hasattr(table, "__arrow_c_stream__"):
        return pa.table(table)
    if hasattr(table, "__dataframe__"):
        from pyarrow.interchange import from_dataframe

        return from_dataframe(table)
    raise TypeError(
        "A table must be a pandas DataFrame, an object with `__arrow_c_stream__` or "
        f"`__dataframe__`, or a path. Received: {type(table).__name__}."
    )


def _of_pandas(frame: pd.DataFrame) -> pa.Table:
    columns = {}
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        try:
            columns[str(name)] = pa.array(column, from_pandas=True)
        except (
            *(pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError),
            *(OverflowError, UnicodeEncodeError),
        ) as error:
            columns[str(name)] = _text(str(name), column, error)
    if len(columns) < len(frame.columns):
        raise ValueError(
            "A table must have each column once. "
            f"Received: {', '.join(map(str, frame.columns))[:1000]}."
        )
    return pa.table(columns)


def _text(name: str, column: pd.Series, error: Exception) -> pa.Array:
    """Text and numbers of any size as text."""
    known = column.notna()
    for row, value in enumerate(column):
        if isinstance(value, str) and not _is_unicode(value):
            raise ValueError(
                f"Column {name!r} of a table must hold text that UTF-8 can hold. "
                f"Received: {value[:80]!a} in row {row + 1}."
            ) from error
        if known.iloc[row] and not isinstance(value, str | int | float):
            raise ValueError(
                f"Column {name!r} of a table must hold text, numbers, times, or lists of them, of "
                f"one kind. Received: {str(value)[:80]} ({type(value).__name__}) in row {row + 1}."
            ) from error
    return pa.array(column.where(known, None).map(str, na_action="ignore"), pa.string())


def _is_unicode(text: str) -> bool:
    """Whether it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
