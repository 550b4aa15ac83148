"""Logs read block by block: the same whatever the block, malformed lines counted and named."""

import re

import numpy as np
import pytest
from cmml_tf.datasets.log_file import ABSENT, Column, open_log
from cmml_tf.datasets.log_reading import MalformedLines, read_log

from cmml_tf.config import ReadConfig

COLUMNS = (
    Column("user", "id", ("user_id", "uid")),
    Column("item", "int", ("item_id",)),
    Column("value", "float", ("rating",), needed=False),
)


def _read(path, block_bytes=1 << 20, max_malformed=0, separator=","):
    log = open_log(path, separator, COLUMNS)
    malformed = MalformedLines(ReadConfig(max_malformed=max_malformed))
    config = ReadConfig(block_mb=block_bytes / 2**20, max_malformed=max_malformed)
    blocks = list(read_log(log, config, malformed))
    table = {name: np.concatenate([block[name] for block in blocks]) for name in log.kinds}
    return table, malformed.count, len(blocks)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("block_bytes", [1, 7, 64, 1 << 20])
def test_blocks_of_any_size_give_every_line_once(tmp_path, end, block_bytes):
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 10**6, 200), rng.integers(0, 99, 200)
    path = tmp_path / "log.csv"
    lines = ["uid,Item_ID,rating", *(f"{u},{i},{i / 2}" for u, i in zip(users, items, strict=True))]
    path.write_text(end.join(lines), newline="")  # the last line without an end
    table, malformed, blocks = _read(path, block_bytes)
    assert table["user"].tolist() == users.tolist()
    assert table["item"].tolist() == items.tolist()
    assert table["value"].tolist() == (items / 2).tolist()
    assert malformed == 0
    assert (blocks == 200) if block_bytes == 1 else (blocks >= 1)


def test_columns_are_found_by_alias_in_any_order_or_by_place(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time,item_id,uid\n9,2,anna\n9,3,bo\n")
    table, _, _ = _read(path)
    assert table["user"].tolist() == ["anna", "bo"]
    assert table["item"].tolist() == [2, 3]
    path.write_text("anna::2\nbo::3\n")
    table, _, _ = _read(path, separator="::")
    assert table["user"].tolist() == ["anna", "bo"]
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
    "not finite": "5,6,nan",
}


@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
@pytest.mark.parametrize("block_bytes", [8, 1 << 20])
def test_malformed_lines_are_counted_up_to_the_limit(tmp_path, line, block_bytes):
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["user,item,value", "1,2,3.0", "", line, "3,4,5.0", line, "5,6,1"]))
    table, malformed, _ = _read(path, block_bytes, max_malformed=2)
    assert table["user"].tolist() == [1, 3, 5]
    assert malformed == 2
    said = rf"Line 4 of .*log\.csv must hold .*{re.escape(repr(line))}.*2 such.*max_malformed=1"
    with pytest.raises(ValueError, match=said):
        _read(path, block_bytes, max_malformed=1)


def test_a_block_of_nothing_but_malformed_lines(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,value\n" + "x\n" * 5 + "1,2,3\n")
    table, malformed, _ = _read(path, block_bytes=10, max_malformed=5)
    assert (table["user"].tolist(), malformed) == ([1], 5)


@pytest.mark.parametrize("other", ["7", "night"])
def test_a_column_that_may_be_empty(tmp_path, other):
    path = tmp_path / "log.csv"
    path.write_text(f"user,scene\n1,{other}\n2,\nx,\n3,\n")
    columns = (Column("user", "int", ()), Column("scene", "id", (), may_be_empty=True))
    log = open_log(path, ",", columns)
    table, malformed = log.read(log.blocks(1 << 20)[0])
    assert table["user"].tolist() == [1, 2, 3]
    assert table["scene"].tolist() == ([7, ABSENT, ABSENT] if other == "7" else [other, "", ""])
    assert malformed == 1
    assert log.first_malformed(log.blocks(1 << 20)[0]) == (4, "x,")
