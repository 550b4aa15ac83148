"""Times as tables write them: one number of seconds for each, and null for what is none."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from cmml_tf.datasets.reading.times import read_times

NOON = 1706702400.0  # 2024-01-31 12:00 in UTC


@pytest.mark.parametrize(
    "written",
    [
        "2024-01-31 12:00",
        "2024-01-31T12:00:00",
        "2024-01-31T12:00:00Z",
        "2024-01-31 12:00:00.000 UTC",
        "2024-01-31T14:00:00+02:00",
        "2024-01-31T12:00:00.000000000",
        "1706702400",
        "1706702400.0",
        "1706702400000",
        "1706702400000000",
        "1706702400000000000",
        " 1.7067024e9 ",
    ],
)
def test_a_text_is_the_same_moment_however_it_is_written(written):
    assert read_times(pa.array([written])).to_pylist() == [NOON]
    # Beside others, of which some are none.
    beside = read_times(pa.array([written, None, "", "noon", "2024-13-45", "1970-01-02", "inf"]))
    assert beside.to_pylist() == [NOON, None, None, None, None, 86400.0, None]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1706702400], pa.int64()),
        pa.array([1706702400], pa.uint32()),
        pa.array([1706702400000], pa.int64()),
        pa.array([1706702400.0], pa.float64()),
        pa.array([datetime.datetime(2024, 1, 31, 12)], pa.timestamp("s")),
        pa.array([datetime.datetime(2024, 1, 31, 12)], pa.timestamp("ns")),
        pa.array([datetime.datetime(2024, 1, 31, 12)], pa.timestamp("ms", "Europe/Paris")),
        pa.array(["2024-01-31T12:00"]).dictionary_encode(),
    ],
    ids=lambda values: str(values.type),
)
def test_columns_of_parquet(values):
    assert read_times(values).to_pylist() == [NOON]
    assert read_times(pa.concat_arrays([values, pa.nulls(1, values.type)]))[1].as_py() is None


def test_dates_are_their_midnight_and_parts_of_a_second_stay():
    assert read_times(pa.array([datetime.date(1970, 1, 3)])).to_pylist() == [172800.0]
    half = read_times(pa.array(["1970-01-01T00:00:00.5", "500.25"])).to_pylist()
    assert half == [0.5, 500.25]
    assert read_times(pa.array([float("nan"), 5.0])).to_pylist() == [None, 5.0]


def test_what_can_be_no_time_is_null():
    for values in (pa.array([True]), pa.array([[1]]), pa.array([b"2024-01-31"])):
        assert read_times(values).to_pylist() == [None]
    assert len(read_times(pa.chunked_array([], pa.large_string()))) == 0
    assert read_times(pa.chunked_array([["1"], ["2"]])).to_numpy().dtype == np.float64
