"""Fast reading of delimited files, with the line number of what is wrong in them."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

_TYPES = {"int": pa.int64(), "float": pa.float64(), "str": pa.string()}


def read_numbers(path: Path, separator: str, header: bool, columns: dict[str, str]) -> pd.DataFrame:
    """Reads a file of fixed columns, all needed, such as GroupLens' ratings.

    Args:
      path: The file.
      separator: Between fields; `::` is allowed.
      header: The first line names the columns; they are found by name. Else by position.
      columns: Name of each column -> `int`, `float` or `str`.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: A line has too few fields or no number where one must be; the message has the
        line number.
    """
    content = read_bytes(path)
    delimiter = separator
    if len(separator) > 1:
        content, delimiter = content.replace(separator.encode(), b"\t"), "\t"
    try:
        table = pa.csv.read_csv(
            pa.py_buffer(content),
            read_options=pa.csv.ReadOptions(column_names=None if header else list(columns)),
            parse_options=pa.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values="str" in columns.values()
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types={name: _TYPES[kind] for name, kind in columns.items()},
                include_columns=list(columns),
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise ValueError(_first_fault(path, separator, header, columns, str(error))) from error
    if any(column.null_count for column in table.columns):
        raise ValueError(_first_fault(path, separator, header, columns, "a field is empty"))
    return pd.DataFrame(
        {
            name: table[name].to_numpy() if columns[name] != "str" else table[name].to_pandas()
            for name in columns
        }
    )


def read_bytes(path: Path) -> bytes:
    """The whole file.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is empty.
    """
    if not path.is_file():
        raise FileNotFoundError(f"The file {path} is missing. Give the complete folder.")
    content = path.read_bytes()
    if not content.strip():
        raise ValueError(f"The file {path} is empty. Get it again.")
    return content


def read_records(
    path: Path, separator: str, least: int, exact: bool = False
) -> list[tuple[int, list[str]]]:
    """(line number, fields) of a small text file in UTF-8 or, as GroupLens' old ones, Latin-1.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is empty, or a line has fewer than `least` fields or, if `exact`, more: a
        separator inside a field would move all those behind it.
    """
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        fields = line.rstrip("\r").split(separator)
        if len(fields) < least or (exact and len(fields) > least):
            raise ValueError(
                f"Line {number} of {path} must hold {least} fields with {separator!r} between. "
                f"Received: {line[:80]!r}. The file is truncated or damaged; get it again."
            )
        records.append((number, fields))
    return records


def _first_fault(
    path: Path, separator: str, header: bool, columns: dict[str, str], reason: str
) -> str:
    """The sentence for a file that did not parse: looks for the line, slowly."""
    lines = path.read_text("utf-8", errors="replace").splitlines()
    position = {name: place for place, name in enumerate(columns)}
    if header:
        names = next(csv.reader(lines[:1], delimiter=separator))
        missing = [name for name in columns if name not in names]
        if missing:
            return (
                f"The file {path} must have a column {missing[0]!r} in its first line. "
                f"Received: {', '.join(names)}."
            )
        position = {name: names.index(name) for name in columns}
    for number, line in enumerate(lines[header:], start=1 + header):
        fields = line.split(separator) if len(separator) > 1 else None
        if fields is None:
            fields = next(csv.reader([line], delimiter=separator), [])
        if fields and not _fits(fields, position, columns):
            return (
                f"Line {number} of {path} must hold {', '.join(columns)} with {separator!r} "
                f"between. Received: {line[:80]!r}. The file is truncated or damaged; get it "
                "again."
            )
    return f"The file {path} is damaged ({reason}). Get it again."


def _fits(fields: list[str], position: dict[str, int], columns: dict[str, str]) -> bool:
    for name, kind in columns.items():
        if position[name] >= len(fields) or not fields[position[name]].strip():
            return False
        if kind != "str":
            try:
                number = np.float64(fields[position[name]])
            except ValueError:
                return False
            if not np.isfinite(number) or (kind == "int" and number != np.floor(number)):
                return False
    return True
