"""Tables of one's own: what is needed, what is filled in, what is refused."""

import numpy as np
import pandas as pd
import pytest
from cmml_tf.datasets.own_interactions import load_table

from cmml_tf.datasets.interactions import Interactions, without_catalogue


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table_is_read_and_completed(tmp_path, suffix):
    frame = pd.DataFrame({"scenario": ["a", "b"], "user": ["u1", "u2"], "item": [7, 8]})
    path = tmp_path / f"log{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    data = load_table(path)
    assert data.name == "log"
    assert data.table["user"].tolist() == ["u1", "u2"]
    assert data.table["item"].tolist() == [7, 8]
    assert data.table["scenario"].tolist() == ["a", "b"]
    assert data.table["value"].tolist() == [1.0, 1.0]
    assert data.table["timestamp"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scenario,person,item\na,1,2\n", "no column 'user'.*Received: scenario, person, item"),
        ("user,item\n1,2\n3\n", "truncated or damaged"),
        ("user,item\n", "no interactions"),
        ("user,item\n1,2\n,3\n", "row 2 has no user"),
        ("user,item,value\n1,2,3\n1,3,nan\n", "row 2 has NaN.*column 'value'"),
        ("user,item,value\n1,2,good\n", "column 'value' must hold numbers"),
        ("user,item\n1,2\n1.5,3\n", "must hold integers or text"),
    ],
)
def test_bad_table_is_explained(tmp_path, text, message):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_table(path)


def test_damaged_or_missing_file_is_named(tmp_path):
    path = tmp_path / "log.parquet"
    with pytest.raises(FileNotFoundError, match=r"log\.parquet is missing"):
        load_table(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"log\.parquet is truncated or damaged"):
        load_table(path)


def test_catalogue_must_list_an_item_once():
    table = pd.DataFrame({"user": [1], "item": [1], "value": [1.0], "timestamp": [0]})
    with pytest.raises(ValueError, match="Item 3 stands in it several times"):
        Interactions("log", table, pd.DataFrame({"item": [3, 3]}))
    with pytest.raises(ValueError, match="row 1 has NaN"):
        Interactions("log", table.assign(value=np.nan), without_catalogue())
