import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tensorflow.core.framework import types_pb2

from cmml_tf.client import InputError
from cmml_tf.client.rows import read_rows

STRING, INT64, FLOAT = types_pb2.DT_STRING, types_pb2.DT_INT64, types_pb2.DT_FLOAT


def test_short_rows_are_padded_with_their_first_value():
    rows = read_rows("ids", [["a", "b"], ["c"]], STRING)
    assert (rows.flat, rows.lengths, rows.width) == ([b"a", b"b", b"c", b"c"], [2, 1], 2)
    rows = read_rows("ids", [[1, 2], np.array([3])], INT64)
    assert rows.flat.tolist() == [1, 2, 3, 3]


def test_a_row_is_never_shorter_than_one():
    for empty in ([], np.array([]), [[]], np.zeros((1, 0))):
        assert read_rows("x", empty, FLOAT).flat.tolist() == [0.0]
        assert read_rows("x", empty, STRING).flat == [b""]
        assert read_rows("x", empty, FLOAT).lengths == [0]


def test_text_is_utf8_and_bytes_stay():
    assert read_rows("ids", ["ä", b"\xff"], STRING).flat == [b"\xc3\xa4", b"\xff"]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([2**63], INT64),
        ([1.0], INT64),
        ([True], INT64),
        (["1"], FLOAT),
        ([[["x"]]], STRING),
        ([None], STRING),
        (5, INT64),
        ("abc", STRING),
        (["u", "\ud800"], STRING),
        (np.ma.array([1, 2], mask=[False, True]), INT64),
        (np.ma.array([1.0, 2.0], mask=[False, True]), FLOAT),
        (pa.array([1, None]), INT64),
        (pd.Series([1, None], dtype="Int64"), INT64),
        (pd.Series(["u", None], dtype="string"), STRING),
        (pd.Series([True, None], dtype="boolean"), FLOAT),
    ],
)
def test_other_values_are_refused_by_name(values, dtype):
    with pytest.raises(InputError, match="`ids`"):
        read_rows("ids", values, dtype)


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2], index=[7, 7]),
        pd.Series([1, 2], dtype="Int64"),
        pd.Series([1, 2], dtype="uint64"),
        pd.Series([1, 2], dtype=object),
        pd.Series([1, 2]).astype("category"),
        pd.RangeIndex(1, 3),
        pa.array([1, 2]),
        np.ma.array([1, 2]),
        np.array([1, 2], ">i8"),
    ],
)
def test_columns_of_every_kind_are_their_values(values):
    rows = read_rows("ids", values, INT64)
    assert (rows.flat.tolist(), rows.flat.dtype, rows.lengths) == ([1, 2], np.int64, [2])
