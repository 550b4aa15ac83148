"""A table of one's own: CSV or parquet, columns user, item and what defines scenarios."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from cmml_tf.datasets.interactions import Interactions, without_catalogue

TABLE_SUFFIXES = (".csv", ".parquet")


def load_table(path: str | Path) -> Interactions:
    """Reads a table of interactions.

    Columns `user` and `item` (integers or text) are needed; `value` (a rating) and `timestamp`
    (seconds) are 1 and 0 where the file has none; `scenario` or any other column can define the
    scenarios (`column:NAME`).

    Args:
      path: A .csv file with a header, or a .parquet file.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: The file is truncated or damaged, or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"The table {path} is missing. Give an existing file.")
    if path.suffix not in TABLE_SUFFIXES:
        raise ValueError(
            f"A table must be one of {', '.join(TABLE_SUFFIXES)} files. Received: {path.name}."
        )
    read = pa.parquet.read_table if path.suffix == ".parquet" else pa.csv.read_csv
    try:
        frame = read(path).to_pandas()
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise ValueError(
            f"The table {path} is truncated or damaged ({error}). Write it again."
        ) from error
    missing = [name for name in ("user", "item") if name not in frame.columns]
    if missing:
        raise ValueError(
            f"The table {path} must have columns user and item, and may have scenario, value and "
            f"timestamp. It has no column {missing[0]!r}. "
            f"Received: {', '.join(map(str, frame.columns))}."
        )
    for name in ("user", "item"):
        frame[name] = _ids(path, name, frame[name])
    if "value" not in frame.columns:
        frame["value"] = np.ones(len(frame))
    if "timestamp" not in frame.columns:
        frame["timestamp"] = np.zeros(len(frame), np.int64)
    return Interactions(path.stem, frame, without_catalogue())


def _ids(path: Path, name: str, column: pd.Series) -> pd.Series:
    if pd.api.types.is_integer_dtype(column) or column.isna().any():  # absent: said by the caller
        return column
    if pd.api.types.is_float_dtype(column):
        if (column % 1 == 0).all():
            return column.astype(np.int64)
        raise ValueError(
            f"Column {name!r} of {path} must hold integers or text. Received: {column.dtype}."
        )
    return column.astype(str)
