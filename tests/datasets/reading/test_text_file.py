"""Text read block by block: the same whatever the block, malformed lines counted and named."""

import csv
import re

import numpy as np
import pyarrow as pa
import pytest

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.reading.columns import Column
from cmml_tf.datasets.reading.malformed import MalformedLines
from cmml_tf.datasets.reading.read_logs import read_logs
from cmml_tf.datasets.reading.text_file import open_text

COLUMNS = (
    Column("user", "id", ("user_id", "uid")),
    Column("item", "int", ("item_id",)),
    Column("value", "float", ("rating",), needed=False),
)
TEXTS = (Column("a", "str"), Column("b", "str", may_be_empty=True), Column("c", "str"))


def _read(path, block_bytes=1 << 20, max_malformed=0, separator=",", columns=COLUMNS):
    log = open_text(path, (separator,), columns)
    config = ReadConfig(block_mb=block_bytes / 2**20, max_malformed=max_malformed)
    malformed = MalformedLines(config)
    (read,) = read_logs([log], config, malformed)
    return {name: column.to_pylist() for name, column in read.items()}, malformed.count


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block_bytes", [1, 7, 64, 1 << 20])
def test_blocks_of_any_size_give_every_line_once(tmp_path, end, block_bytes):
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 10**6, 200), rng.integers(0, 99, 200)
    path = tmp_path / "log.csv"
    lines = ["uid,Item_ID,rating", *(f"{u},{i},{i / 2}" for u, i in zip(users, items, strict=True))]
    path.write_text(end.join(lines), newline="")  # the last line without an end
    table, malformed = _read(path, block_bytes)
    assert table["user"] == users.tolist()
    assert table["item"] == items.tolist()
    assert table["value"] == (items / 2).tolist()
    assert malformed == 0
    blocks = open_text(path, (",",), COLUMNS).blocks(block_bytes)
    assert (len(blocks) == 200) if block_bytes == 1 else (len(blocks) >= 1)


def test_columns_are_found_by_alias_in_any_order_or_by_place(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time,item_id,uid\n9,2,anna\n9,3,bo\n")
    table, _ = _read(path)
    assert table["user"] == ["anna", "bo"]
    assert table["item"] == [2, 3]
    path.write_text("anna::2\nbo::3\n")
    table, _ = _read(path, separator="::")
    assert table["user"] == ["anna", "bo"]
    path.write_text("uid,film\n1,2\n")
    with pytest.raises(ValueError, match=r"column 'item_id' \(or item\).*Received: uid, film"):
        _read(path)


BAD = {
    "too few fields": "5",
    "too many fields": "5,6,1.0,7",
    "no number": "5,six,1.0",
    "a fraction": "5,6.5,1.0",
    "beyond int64": "5,99999999999999999999,1.0",
    "an empty field": "5,,1.0",
    "an id of blanks": "  ,6,1.0",
    "not finite": "5,6,nan",
    "infinite": "5,6,1e999",
    "a stray quote that is no number": '5,"6,1.0',
    "not UTF-8": b"\xe9\xff,6,1.0",
    "a NUL at the end": "u\0,6,1.0",
    "a NUL within": "u\0v,6,1.0",
}


@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
@pytest.mark.parametrize("block_bytes", [8, 1 << 20])
def test_malformed_lines_are_counted_up_to_the_limit(tmp_path, line, block_bytes):
    line = line if isinstance(line, bytes) else line.encode()
    path = tmp_path / "log.csv"
    lines = [b"user,item,value", b"1,2,3.0", b"", line, b"3,4,5.0", line, b"  ", b"5,6,1"]
    path.write_bytes(b"\n".join(lines))
    table, malformed = _read(path, block_bytes, max_malformed=2)
    assert table == {"user": [1, 3, 5], "item": [2, 4, 6], "value": [3.0, 5.0, 1.0]}
    assert malformed == 2
    shown = re.escape(repr(line.decode(errors="replace")))
    said = rf"Line 4 of .*log\.csv must hold .*{shown}.*2 such.*max_malformed=1"
    with pytest.raises(ValueError, match=said):
        _read(path, block_bytes, max_malformed=1)


def test_a_block_of_nothing_but_malformed_lines(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,value\n" + "x\n" * 5 + "1,2,3\n")
    table, malformed = _read(path, block_bytes=10, max_malformed=5)
    assert (table["user"], malformed) == ([1], 5)


@pytest.mark.parametrize("other", ["7", "night"])
def test_a_column_that_may_be_empty(tmp_path, other):
    path = tmp_path / "log.csv"
    path.write_text(f'user,scene\n1,{other}\n2,\nx,y,z\n3,""\n')
    columns = (Column("user", "int"), Column("scene", "id", may_be_empty=True))
    table, malformed = _read(path, max_malformed=1, columns=columns)
    assert table["user"] == [1, 2, 3]
    assert table["scene"] == [7 if other == "7" else other, None, None]
    assert malformed == 1


def test_numbers_in_every_usual_spelling_beside_a_malformed_line(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,value\n1,+7,+.5\n2, 007 ,5.\n3,-9223372036854775808,1e-3\nx,y,z\n")
    table, _ = _read(path, max_malformed=1)
    assert table["item"] == [7, 7, -(2**63)]
    assert table["value"] == [0.5, 5.0, 0.001]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("block_bytes", [5, 200, 1 << 20])
def test_quotes_within_a_line_are_read_as_everywhere(tmp_path, separator, block_bytes):
    rng = np.random.default_rng(1)
    pieces = ["", "a", '"', separator, " x", "'", "ü", 'say ""']
    rows = [["".join(rng.choice(pieces, 3)) + "." for _ in range(3)] for _ in range(300)]
    path = tmp_path / "log.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([["a", "b", "c"], *rows])
    table, _ = _read(path, block_bytes, separator=separator, columns=TEXTS)
    assert list(map(list, zip(*table.values(), strict=True))) == [
        [field.strip(" \t".replace(separator, "")) for field in row] for row in rows
    ]


STRAY = {
    'x,"half open,z': ("x", '"half open', "z"),
    'x,12" pipe,z': ("x", '12" pipe', "z"),
    'x,"a" b,z': ("x", '"a" b', "z"),
    'x, "a, b" ,z': ("x", "a, b", "z"),
    '"x","a""b","z"': ("x", 'a"b', "z"),
    'x,"",z"': ("x", None, 'z"'),
    '"x,",y",z': ("x,", 'y"', "z"),
}


@pytest.mark.parametrize("line", STRAY)
def test_a_stray_quote_is_a_character_of_its_own_line(tmp_path, line):
    path = tmp_path / "log.csv"
    path.write_text(f'a,b,c\n1,2,3\n{line}\n4,5,6\n{line}\n7,"8",9\n')
    table, _ = _read(path, columns=TEXTS)
    rows = list(zip(*table.values(), strict=True))
    expected = [("1", "2", "3"), STRAY[line], ("4", "5", "6"), STRAY[line], ("7", "8", "9")]
    assert rows == expected


def test_an_id_is_integer_or_text_whatever_the_blocks(tmp_path):
    path = tmp_path / "log.csv"
    columns = (Column("user", "id"), Column("friend", "id", space="user"), Column("item", "id"))
    path.write_text("user,friend,item\n1,2,3\n2,5,7\n3,5,-4\n0,007,9223372036854775807\n")
    for block_bytes in (1, 1 << 20):
        table, _ = _read(path, block_bytes, columns=columns)
        assert table["user"] == ["1", "2", "3", "0"]
        assert table["friend"] == ["2", "5", "5", "007"]  # of one space: text in both
        assert table["item"] == [3, 7, -4, 2**63 - 1]


TEXT_IDS = ["007", "-0", "+1", "1.0", "1e2", "00:01", "9223372036854775808", "0x1F", "guest", "1_0"]


@pytest.mark.parametrize("odd", TEXT_IDS)
@pytest.mark.parametrize("limit", [0, 10])
def test_one_id_that_is_not_what_str_of_an_integer_gives_makes_all_text(tmp_path, odd, limit):
    path = tmp_path / "log.csv"
    path.write_text("user,item\n" + "".join(f"{n},1\n" for n in range(50)) + f"{odd},1\n")
    table, malformed = _read(path, 64, max_malformed=limit)
    assert table["user"] == [*map(str, range(50)), odd]
    assert malformed == 0


def test_where_malformed_lines_are_allowed_few_words_among_integers_are_malformed(tmp_path):
    path = tmp_path / "log.csv"
    ids = list(range(1_700_000_000_000_000_000, 1_700_000_000_000_002_000))
    lines = [f"{n},1" for n in ids]
    lines[700] = "abc,1"
    path.write_text("\n".join(["user,item", *lines]))
    for block_bytes in (500, 1 << 20):
        table, malformed = _read(path, block_bytes, max_malformed=10)
        assert table["user"] == ids[:700] + ids[701:]
        assert malformed == 1
        table, malformed = _read(path, block_bytes)
        assert table["user"] == [line.removesuffix(",1") for line in lines]
        assert malformed == 0


def test_memory_is_that_of_the_bytes_not_of_the_longest_value(tmp_path):
    path = tmp_path / "log.csv"
    long = "https://shop.example/" + "q" * 20_000
    path.write_text("user,item\n" + "".join(f"u{n},1\n" for n in range(5000)) + f"{long},1\n")
    before = pa.total_allocated_bytes()
    log = open_text(path, (",",), COLUMNS)
    config = ReadConfig()
    (read,) = read_logs([log], config, MalformedLines(config))
    assert read["user"][-1].as_py() == long
    assert pa.total_allocated_bytes() - before < 4 << 20
