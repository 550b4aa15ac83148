"""Tables of one's own: what is read, what columns may be called, what is refused."""

import gzip
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.given_tables import as_arrow
from cmml_tf.datasets.interactions import Interactions, without_catalogue
from cmml_tf.datasets.sources.own_interactions import load_table

TEXT = "scenario,user,item\na,u1,7\nb,u2,8\n"


def _rows(data, *columns):
    return data.table[list(columns)].to_numpy(object, na_value=None).tolist()


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


def _zstd(content):
    return pa.compress(content, "zstd", asbytes=True)


FORMS = {
    "log.CSV": TEXT.encode(),
    "log.tsv": TEXT.replace(",", "\t").encode(),
    "semicolons, log.csv": TEXT.replace(",", ";").encode(),
    "log.csv.gz": gzip.compress(TEXT.encode()),
    "log.csv.GZ in two members": gzip.compress(TEXT[:20].encode())
    + gzip.compress(TEXT[20:].encode()),
    "log.csv.zst": _zstd(TEXT.encode()),
    "log.tsv.zst": _zstd(TEXT.replace(",", "\t").encode()),
    "packed, called log.csv": gzip.compress(TEXT.encode()),
    "a byte order mark, log.csv": TEXT.encode("utf-8-sig"),
    "old Mac, log.csv": TEXT.replace("\n", "\r").encode(),
    "blanks, log.csv": TEXT.replace(",", ", ").encode(),
    "quoted header, log.csv": b'"scenario","user","item"\n' + TEXT.partition("\n")[2].encode(),
    "quoted after blanks, log.csv": b'"scenario" , "user", "item"\n'
    + TEXT.split("\n", 1)[1].encode(),
    "a blank line first, log.csv": b"\r\n" + TEXT.encode(),
    "any case, log.csv": TEXT.replace("user", "USER").encode(),
    "aliases, log.csv": TEXT.replace("user,item", "userId,movie_id").encode(),
    "words, log.csv": TEXT.replace("user,item", "User ID,Item-Id").encode(),
    "aliases beside the names, log.csv": TEXT.replace("scenario,", "scenario,uid,")
    .encode()
    .replace(b"a,", b"a,x,")
    .replace(b"b,", b"b,x,"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_table_is_the_same_table(tmp_path, form):
    name = form.split(" in two")[0].rpartition(" ")[2]
    (tmp_path / name).write_bytes(FORMS[form])
    for block_mb in (32, 5e-6):
        data = load_table(tmp_path / name, read=ReadConfig(block_mb=block_mb))
        assert data.name == "log"
        assert _rows(data, "scenario", "user", "item") == [["a", "u1", 7], ["b", "u2", 8]]


def test_columns_may_be_named(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("customer_id,user,sku,city,stars\nu1,x,7,a,4\nu2,y,8,b,5\n")
    columns = "user=customer_id, item=SKU,scenario=city,value=stars"
    data = load_table(path, read=ReadConfig(columns=columns))
    expected = [["a", "u1", 7, 4.0], ["b", "u2", 8, 5.0]]
    assert _rows(data, "scenario", "user", "item", "value") == expected
    data = load_table(path, "column:city", read=ReadConfig(columns="user=customer_id,item=sku"))
    assert _rows(data, "city", "user", "item", "value") == [
        ["a", "u1", 7, 1.0],
        ["b", "u2", 8, 1.0],
    ]
    with pytest.raises(
        ValueError, match=r"column 'shop' \(option columns\).*Received: customer_id"
    ):
        load_table(path, read=ReadConfig(columns="user=shop,item=sku"))


@pytest.mark.parametrize(
    "columns",
    ["user", "user=", "shop=a", "user=a,user=b", "user=a,,item=b", "time=a,timestamp=b", ""],
)
def test_names_of_columns_are_checked(columns):
    with pytest.raises(ValueError, match=r"`columns` must be NAME=COLUMN .*Received: columns="):
        ReadConfig(columns=columns)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scenario,person,item\na,1,2\n", "missing: user. Received: scenario, person, item"),
        ("user_id,userId,item\n1,1,2\n", r"one column for 'user'. Received: user_id, userId"),
        ("user,item,item\n1,1,2\n", r"one column for 'item'. Received: item, item"),
        ("user,item\n1,2\n3\n", "Line 3 of .*'3'; it has 1 fields instead of 2.*damaged"),
        ("user,item\n", "no interactions"),
        ("user,item\n1,2\n,3\n", "Line 3 of .*',3'; column 'user' is empty"),
        ("user,item,value\n1,2,3\n1,3,nan\n", "Line 3 of .*column 'value' is no finite number"),
        ("user,item,value\n1,2,good\n", "Line 2 of .*column 'value' is no finite number"),
    ],
)
def test_bad_table_is_explained(tmp_path, text, message):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_table(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_another_encoding_is_named(tmp_path, encoding):
    path = tmp_path / "log.csv"
    path.write_bytes(TEXT.encode(encoding))
    with pytest.raises(ValueError, match=r"log\.csv is text in UTF-16\. Save it as UTF-8"):
        load_table(path)


def test_damaged_or_missing_file_is_named(tmp_path):
    path = tmp_path / "log.parquet"
    with pytest.raises(FileNotFoundError, match=r"log\.parquet is missing"):
        load_table(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"log\.parquet is truncated or damaged"):
        load_table(path)
    for name, content in (
        ("log.csv.gz", gzip.compress(TEXT.encode() * 99)),
        ("log.csv.zst", _zstd(TEXT.encode() * 99)),
    ):
        (tmp_path / name).write_bytes(content[:-9])
        with pytest.raises(ValueError, match=rf"{name} is truncated or damaged"):
            load_table(tmp_path / name)
    (tmp_path / "log.csv").write_bytes(b"PK\x03\x04 and more")
    with pytest.raises(ValueError, match=r"log\.csv is a zip archive or a spreadsheet"):
        load_table(tmp_path / "log.csv")


def test_a_folder_of_parts_is_one_table(tmp_path):
    (tmp_path / "part-0.csv").write_text("user,item,scenario\n1,2,a\n")
    (tmp_path / "part-1.csv.gz").write_bytes(gzip.compress(b"scenario;item;user\nb;3;x4\n"))
    frame = pd.DataFrame({"user": ["5"], "item": [6], "scenario": [None]})
    frame.to_parquet(tmp_path / "part-2.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "._part-0.csv").write_text("garbage")
    data = load_table(tmp_path)
    assert data.name == tmp_path.name
    assert _rows(data, "user", "item") == [["1", 2], ["x4", 3], ["5", 6]]
    assert data.counts == {"files of the table": 3}
    (tmp_path / "items.csv").write_text("item,title\n1,x\n")
    said = r"must have the same columns.*items\.csv has item, title; part-0\.csv has user, item, sc"
    with pytest.raises(ValueError, match=said):
        load_table(tmp_path)


@pytest.mark.parametrize("place", [0, 1])
def test_a_part_without_rows_is_a_part_like_others(tmp_path, place):
    (tmp_path / f"part-{place}.csv").write_text("USER,item,value,scenario\n")
    (tmp_path / f"part-{1 - place}.csv").write_text("user,item,value,scenario\n1,2,3.5,7\n")
    data = load_table(tmp_path)
    assert _rows(data, "user", "item", "value", "scenario") == [[1, 2, 3.5, 7]]


def _parquet(path, **columns):
    pa.parquet.write_table(pa.table(columns), path, row_group_size=2)
    return load_table(path, read=ReadConfig(max_malformed=9))


def test_parquet_ids_of_every_type_are_what_they_say(tmp_path):
    path = tmp_path / "log.parquet"
    other = {"item": ["a", "b", "c"]}
    for values, expected in (
        (pa.array([1, 2, 3], pa.uint8()), [1, 2, 3]),
        (pa.array([1, 2, 2**64 - 1], pa.uint64()), ["1", "2", str(2**64 - 1)]),
        (pa.array([1.0, 2.0, 3.0]), [1, 2, 3]),
        (pa.array(["1", "2", "3"]), [1, 2, 3]),
        (pa.array(["1", "2", "03"]), ["1", "2", "03"]),
        (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
        (pa.array([1, 2, 3]).cast(pa.decimal128(22, 2)), [1, 2, 3]),
        (pa.array(["x", "y", "z"], pa.large_string()), ["x", "y", "z"]),
        (pa.array([b"x", b"y", b"z"]), ["x", "y", "z"]),
    ):
        data = _parquet(path, user=values, **other)
        assert data.table["user"].tolist() == expected
        assert not data.counts
    for values, expected in (
        (pa.array([1.0, None, 3.0]), [1, 3]),
        (pa.array([1.0, 2.5, 3.0]), [1, 3]),
        (pa.array([1.0, 2.0**53, 3.0]), [1, 3]),
        (pa.array([1.0, 2.0**24, 3.0], pa.float32()), [1, 3]),
        (pa.array(np.float16([1.0, 2.0**11, 3.0])), [1, 3]),
        (pa.array(["x", "y\nz", "z"]), ["x", "z"]),
        (pa.array(["x", "y\0", "z"]), ["x", "z"]),
        (pa.array(["x", "y\0y", "z"]), ["x", "z"]),
        (pa.array(["x", "", "z"]), ["x", "z"]),
        (pa.array([b"x", b"\xff", b"z"]), ["x", "z"]),
    ):
        data = _parquet(path, user=values, **other)
        assert data.table["user"].tolist() == expected
        assert data.table["item"].tolist() == ["a", "c"]
        assert data.counts == {"malformed lines, left out": 1}
    with pytest.raises(ValueError, match=r"Line 2 of .*log\.parquet.*column 'user'.*is not UTF-8"):
        load_table(path)
    lists, spans = [[1], [2], [3]], pa.array([1, 2, 3], pa.duration("s"))
    for values, kind in ((lists, "list"), (spans, "duration")):
        with pytest.raises(ValueError, match=f"'user' of .* must hold integers or text.*{kind}"):
            _parquet(path, user=values, **other)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_ids_that_are_times_are_the_same_text_whatever_their_unit(tmp_path, unit):
    seconds = pa.array([0, 86_400, 172_800], pa.timestamp("s"))
    other = {"item": ["a", "b", "c"], "value": [1.0, 2.0, 3.0]}
    data = _parquet(tmp_path / "log.parquet", user=seconds.cast(pa.timestamp(unit)), **other)
    days = [f"1970-01-0{day} 00:00:00" for day in (1, 2, 3)]
    assert data.table["user"].tolist() == days
    if unit != "s":
        halves = pc.add(seconds.cast(pa.timestamp(unit)), pa.scalar(500, pa.duration("ms")))
        data = _parquet(tmp_path / "log.parquet", user=halves.cast(pa.timestamp(unit)), **other)
        assert data.table["user"].tolist() == [f"{day}.5" for day in days]


def test_ids_that_are_uuids_are_their_text(tmp_path):
    ids = [uuid.UUID(int=number) for number in (1, 2, 3)]
    frame = pd.DataFrame({"user": ids, "item": ["a", "b", "c"], "value": [1.0, 2.0, 3.0]})
    pa.parquet.write_table(as_arrow(frame), tmp_path / "log.parquet")
    assert load_table(tmp_path / "log.parquet").table["user"].tolist() == [*map(str, ids)]


def test_parquet_values_are_numbers_of_every_type(tmp_path):
    path = tmp_path / "log.parquet"
    other = {"user": [1, 2, 3], "item": [1, 2, 3]}
    for values in (
        pa.array([1, 2, 3], pa.int8()),
        pa.array([1, 2, 3]).cast(pa.decimal128(21, 2)),
        pa.array(["1", "2.0", "3"]),
        pa.array([1, 2, 3], pa.float32()),
    ):
        assert _parquet(path, value=values, **other).table["value"].tolist() == [1.0, 2.0, 3.0]
    for values in (
        pa.array([1.0, np.inf, 3.0]),
        pa.array([1.0, np.nan, 3.0]),
        pa.array([1.0, None, 3.0]),
        pa.array(["1", "two", "3"]),
        pa.array(["1", "1_0", "3"]),
        pa.array(["1", "\u0665", "3"]),
    ):
        data = _parquet(path, value=values, **other)
        assert data.table["value"].tolist() == [1.0, 3.0]
        assert data.counts == {"malformed lines, left out": 1}
    with pytest.raises(ValueError, match=r"Column 'value' of .* must hold numbers.*timestamp"):
        _parquet(path, value=pa.array([0, 0, 0], pa.timestamp("s")), **other)


def test_catalogue_must_list_an_item_once():
    table = pd.DataFrame({"user": [1], "item": [1], "value": [1.0], "timestamp": [0]})
    with pytest.raises(ValueError, match="Item 3 stands in it several times"):
        Interactions("log", table, pd.DataFrame({"item": [3, 3]}))
    with pytest.raises(ValueError, match="row 1 has NaN"):
        Interactions("log", table.assign(value=np.nan), without_catalogue())
