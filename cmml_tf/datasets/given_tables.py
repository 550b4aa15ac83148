"""Tables that a program gives, from memory or as paths."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import yaml

Table = Any
"""A pandas DataFrame, anything that Arrow or the DataFrame protocol reads, or a path."""


def write_folder(
    folder: Path,
    ratings: Table,
    features: Mapping[str, Table | None],
    kinds: Mapping[str, str],
) -> None:
    """The tables of the user setting as a folder that the commands read, too.

    Args:
      folder: It.
      ratings: Columns user, item and value.
      features: `items` and `users`, each with its id and a column a feature; None: none.
      kinds: Feature name to kind; of others, numbers are numeric and the rest categorical.
    """
    pa.parquet.write_table(as_arrow(ratings), folder / "ratings.parquet")
    declared: dict[str, dict[str, str]] = {}
    for name, features_of in features.items():
        if features_of is not None:
            found = as_arrow(features_of)
            pa.parquet.write_table(found, folder / f"{name}.parquet")
            keys = {name.removesuffix("s")}
            declared[name] = {
                column.name: kinds.get(column.name, _kind(column.type))
                for column in found.schema
                if column.name not in keys
            }
    (folder / "features.yaml").write_text(yaml.safe_dump(declared))


def _kind(of: pa.DataType) -> str:
    numeric = pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of)
    return "numeric" if numeric else "categorical"


def as_arrow(table: Table) -> pa.Table:
    """The table as Arrow holds it.

    Raises:
      TypeError: It is nothing of this kind.
    """
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, pd.DataFrame):
        return pa.Table.from_pandas(table, preserve_index=False)
    if isinstance(table, str | Path):
        return as_arrow(_read(Path(table)))
    if hasattr(table, "__arrow_c_stream__"):
        return pa.table(table)
    if hasattr(table, "__dataframe__"):
        from pyarrow.interchange import from_dataframe

        return from_dataframe(table)
    raise TypeError(
        "A table must be a pandas DataFrame, an object with `__arrow_c_stream__` or "
        f"`__dataframe__`, or a path. Received: {type(table).__name__}."
    )


def _read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
