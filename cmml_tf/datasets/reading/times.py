"""Times of interactions: seconds since 1970 in UTC, however a table writes them.

Numbers are seconds, or milli-, micro- or nanoseconds where they are large (`EPOCH_UNITS`); texts
are such numbers or ISO 8601; a date is its midnight, a time without a zone is in UTC.
"""

from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cmml_tf.config.split import EPOCH_UNITS
from cmml_tf.datasets.reading.ids import NUMBER, TEXT, is_text_type

Times = Literal["none", "loose", "needed"]
"""Whether times are read: not, where there are any, or they must be there in every row."""
TIME_KINDS = ("time", "loose-time")
"""Kinds of columns that are times, as `Column` has them."""
_MICROSECONDS = 1e6


def read_times(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """float64 [N], seconds since 1970; null where a value is no time.

    Example:

    >>> read_times(pa.array(["1970-01-02", "60", "1970-01-01T01:00+01:00", "soon"])).to_pylist()
    [86400.0, 60.0, 0.0, None]
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if is_text_type(kind):
        return _of_text(column.cast(TEXT))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _of_dates(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _of_numbers(column)
    return pa.nulls(len(column), pa.float64())


def seconds_of(column: pa.ChunkedArray | None, rows: int) -> np.ndarray:
    """float64 [rows]: a column of times that has been read, NaN for null; 0 where there is none."""
    if column is None:
        return np.zeros(rows)
    return pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()


def _of_numbers(column: pa.Array) -> pa.Array:
    numbers = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan).to_numpy()
    size = np.abs(numbers)
    units = np.select([size >= least for least, _ in EPOCH_UNITS], [u for _, u in EPOCH_UNITS], 1.0)
    return pa.array(numbers / units, mask=~np.isfinite(numbers))


def _of_dates(column: pa.Array) -> pa.Array:
    micro = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    return pc.divide(micro.cast(pa.float64(), safe=False), _MICROSECONDS)


def _of_text(text: pa.Array) -> pa.Array:
    text = pc.utf8_trim_whitespace(text)
    text = pc.if_else(pc.equal(text, ""), None, text)
    try:
        return _of_numbers(text.cast(pa.float64()))
    except pa.ArrowInvalid:
        pass
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return _of_dates(text.cast(kind))
        except pa.ArrowInvalid:
            continue
    return _of_mixed(text)


def _of_mixed(text: pa.Array) -> pa.Array:
    """The same value by value: some with a zone, some without, some no times."""
    numeric = pc.fill_null(pc.match_substring_regex(text, NUMBER), False)
    numbers = _of_numbers(pc.if_else(numeric, text, None).cast(pa.float64()))
    dates = pc.replace_substring_regex(pc.if_else(numeric, None, text), r"\s*(UTC|GMT)$", "Z")
    read = pd.to_datetime(dates.to_pandas(), format="ISO8601", utc=True, errors="coerce")
    return pc.coalesce(numbers, _of_dates(pa.array(read.to_numpy("datetime64[us]"))))
