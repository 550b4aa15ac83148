"""GroupLens' layouts, each written small, and the embedded data set."""

from pathlib import Path

import numpy as np
import pytest

from cmml_tf.datasets.layouts import is_movielens
from cmml_tf.datasets.sources.movielens import load_embedded_movielens, load_movielens

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"


def _write_100k(folder):
    (folder / "u.data").write_bytes(b"196\t1\t3\t881250949\n186\t2\t4\t891717742\n")
    (folder / "u.genre").write_bytes(b"unknown|0\nAction|1\nComedy|2\n\n")
    (folder / "u.item").write_bytes(
        "1|Misérables, Les (1995)|01-Jan-1995||http://x|0|1|1\n2|Odd|||http://y|1|0|0\n".encode(
            "latin-1"
        )
    )


def _write_1m(folder, encoding="latin-1"):
    (folder / "ratings.dat").write_bytes(b"196::1::3::881250949\n186::2::4::891717742\n")
    (folder / "movies.dat").write_bytes(
        "1::Misérables, Les (1995)::Action|Comedy\n2::Odd::(no genres listed)\n".encode(encoding)
    )


def _write_csv(folder):
    (folder / "ratings.csv").write_bytes(
        b"userId,movieId,rating,timestamp\r\n196,1,3.0,881250949\r\n186,2,4.0,891717742\r\n"
    )
    (folder / "movies.csv").write_bytes(
        'movieId,title,genres\r\n1,"Misérables, Les (1995)",Action|Comedy\r\n'
        "2,Odd,(no genres listed)\r\n".encode()
    )
    (folder / "tags.csv").write_bytes(
        b'userId,movieId,tag,timestamp\r\n1,1,"Sad, long",1\r\n2,1,FRANCE,1\r\n3,1,france,1\r\n'
    )


@pytest.mark.parametrize(
    "write",
    [_write_100k, _write_1m, lambda folder: _write_1m(folder, "utf-8"), _write_csv],
    ids=["ml-100k", "ml-1m", "ml-1m-utf8", "ml-25m"],
)
def test_every_layout_reads_the_same(tmp_path, write):
    write(tmp_path)
    assert is_movielens(tmp_path)
    data = load_movielens(tmp_path)
    assert data.table["user"].tolist() == [196, 186]
    assert data.table["item"].tolist() == [1, 2]
    assert data.table["value"].tolist() == [3.0, 4.0]
    assert data.table["timestamp"].tolist() == [881250949, 891717742]
    assert data.catalogue["title"].tolist() == ["Misérables, Les (1995)", "Odd"]
    assert data.catalogue["genres"].tolist() == [("Action", "Comedy"), ()]
    assert data.catalogue["year"][0] == 1995
    assert np.isnan(data.catalogue["year"][1])
    assert data.catalogue["added"].tolist() == [1.0, 2.0]


def test_tags_of_an_item_are_distinct_and_lower_case(tmp_path):
    _write_csv(tmp_path)
    assert load_movielens(tmp_path).catalogue["tags"].tolist() == [("france", "sad, long"), ()]


def test_embedded_data_is_the_100004_ratings():
    data = load_embedded_movielens()
    assert len(data.table) == 100_004
    assert data.table["user"].nunique() == 671
    assert len(data.catalogue) == data.table["item"].nunique() == 9066
    toy_story = data.catalogue[data.catalogue["item"] == 1].iloc[0]
    assert toy_story["year"] == 1995
    assert "Animation" in toy_story["genres"]


@pytest.mark.parametrize(
    ("write", "name", "cut", "line"),
    [
        (_write_100k, "u.data", 12, 2),
        (_write_1m, "ratings.dat", 14, 2),
        (_write_1m, "movies.dat", 20, 2),
        (_write_csv, "ratings.csv", 13, 3),
        (_write_csv, "movies.csv", 21, 3),
        (_write_100k, "u.item", 3, 2),
    ],
)
def test_truncated_file_is_named_with_its_line(tmp_path, write, name, cut, line):
    write(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ValueError, match=rf"Line {line} of .*{name}.*truncated or damaged"):
        load_movielens(tmp_path)


def test_nan_rating_is_named_with_its_row(tmp_path):
    _write_csv(tmp_path)
    path = tmp_path / "ratings.csv"
    path.write_bytes(path.read_bytes().replace(b"4.0", b"nan"))
    with pytest.raises(ValueError, match=r"Line 3 of .*ratings\.csv.*nan"):
        load_movielens(tmp_path)


def test_wrong_header_and_missing_files_are_named(tmp_path):
    _write_csv(tmp_path)
    path = tmp_path / "ratings.csv"
    path.write_bytes(path.read_bytes().replace(b"movieId", b"film"))
    with pytest.raises(ValueError, match=r"column 'movieId'.*Received: userId, film"):
        load_movielens(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="has no file of ratings"):
        load_movielens(tmp_path)


@pytest.mark.parametrize(
    ("write", "name"),
    [(_write_100k, "u.item"), (_write_1m, "movies.dat"), (_write_csv, "movies.csv")],
)
def test_missing_catalogue_is_named(tmp_path, write, name):
    write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
        load_movielens(tmp_path)


def test_empty_file(tmp_path):
    _write_1m(tmp_path)
    (tmp_path / "ratings.dat").write_bytes(b"")
    with pytest.raises(ValueError, match=r"ratings\.dat is empty"):
        load_movielens(tmp_path)


@pytest.mark.skipif(
    not (SHARED / "ml-1m-partial").is_dir(), reason="../shared is not beside the checkout"
)
def test_real_movielens_1m_folder():
    data = load_movielens(SHARED / "ml-1m-partial")
    assert len(data.table) == 486_988
    assert len(data.catalogue) == 3881
    assert data.catalogue["year"].notna().all()
