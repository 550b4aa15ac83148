"""One table, three ways in: training, preparation and the user setting read the same."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from cmml_tf.config import ReadConfig, ScenarioConfig, SplitConfig
from cmml_tf.config.preparation import PrepareConfig
from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.open_rating_data import open_rating_data
from cmml_tf.datasets.preparation.prepare import prepare_folder
from cmml_tf.datasets.preparation.prepared_folder import load_prepared
from cmml_tf.datasets.sources.own_interactions import load_table
from cmml_tf.datasets.tasks.scenarios import find_scenarios
from cmml_tf.datasets.tasks.splits import split_scenarios

SCENARIOS = ScenarioConfig(min_items=2, max_items=100_000, min_interactions=10)
BY_COLUMN = ScenarioConfig("column:scenario", min_items=2, max_items=100_000, min_interactions=10)
RATED = RatingDataConfig(query=2, min_ratings=4, max_ratings=6)
# The user column is written as each case says.
IDS = {
    "integers": lambda user: user,
    "beyond int64": lambda user: [int(n) + 2**63 for n in user],
    "some beyond int64": lambda user: [int(n) + 2**63 * (n % 2) for n in user],
    "22 digits": lambda user: [int(n) + 10**21 for n in user],
    "leading zeros": lambda user: [f"{n:07d}" for n in user],
    "some leading zeros": lambda user: [f"{n:07d}" if n % 2 else str(n) for n in user],
    "exponents": lambda user: [f"{n}e2" for n in user],
    "colons": lambda user: [f"{n // 60:02d}:{n % 60:02d}" for n in user],
    "floats": lambda user: [f"{n}.0" for n in user],
    "guests at the end": lambda user: [f"guest{n}" if i > 700 else n for i, n in enumerate(user)],
    "one long id": lambda user: ["x" * 20_000 if i == 300 else f"u{n}" for i, n in enumerate(user)],
    "accents": lambda user: [f"Zoë {n}" for n in user],
    "stray quotes": lambda user: [f'"{n}' if n == 7 else f"u{n}" for n in user],
}


def _frame(rows=800):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "scenario": [f"s{n % 8}" for n in range(rows)],
            "user": rng.integers(1, 60, rows),
            "item": rng.integers(1, 40, rows),
            "value": rng.integers(1, 6, rows),
            "timestamp": np.arange(rows),
        }
    )


def _text(frame, separator=","):
    rows = [frame.columns, *frame.itertuples(index=False)]
    return (
        "\n".join(separator.join("" if pd.isna(f) else str(f) for f in row) for row in rows) + "\n"
    )


def _same_everywhere(path, tmp_path, read=None):
    """What training reads, after comparing it with what preparation does."""
    read = ReadConfig() if read is None else read
    table = load_table(path, read=read)
    expected = split_scenarios(find_scenarios(table, BY_COLUMN), SplitConfig(), 0)
    direct = open_scenario_data(str(path), SCENARIOS, SplitConfig(), 0, read=read)
    assert direct.user_ids.tolist() == expected.user_ids.tolist()
    divided = ReadConfig(0.005, read.max_malformed, read.columns)
    for name, changes in (
        ("whole", {"read": read}),
        ("divided", {"read": divided, "shards": 2}),
    ):
        out = tmp_path / f"prepared-{name}"
        changes = {"shards": 1, **changes}
        config = PrepareConfig(data=str(path), out=str(out), scenario=SCENARIOS, **changes)
        prepare_folder(config)
        data = load_prepared(out)
        assert data.fingerprint() == expected.fingerprint()
        assert data.counts == expected.counts
    return expected


def _ids(values):
    texts = sorted({str(value) for value in values})
    whole = all(text == str(int(text)) for text in texts if text.isdigit())
    whole &= all(text.isdigit() and int(text) < 2**63 for text in texts)
    return sorted(map(int, texts)) if whole else texts


@pytest.mark.parametrize("case", IDS)
def test_ids_are_those_of_the_table(tmp_path, case):
    frame = _frame()
    frame["user"] = pd.Series(IDS[case](frame["user"].tolist()), dtype=object)
    path = tmp_path / "log.csv"
    path.write_text(_text(frame), encoding="utf-8")
    data = _same_everywhere(path, tmp_path)
    assert data.user_ids.tolist() == _ids(frame["user"])
    assert data.item_ids.tolist() == list(range(1, 40))
    assert data.counts["interactions read"] == len(frame)
    assert data.counts["scenarios found"] == 8

    folder = tmp_path / "rated"
    folder.mkdir()
    (folder / "ratings.csv").write_text(_text(frame), encoding="utf-8")
    (folder / "users.csv").write_text(
        _text(frame[["user"]].drop_duplicates().assign(country="de")), encoding="utf-8"
    )
    (folder / "features.yaml").write_text("users: {country: categorical}\n")
    rated = open_rating_data(str(folder), RATED, 0)
    assert rated.user_ids.tolist() == data.user_ids.tolist()
    assert rated.user_columns[0].values.tolist()[:-1] == [0] * len(rated.user_ids)


CHANGES = {
    "blanks": lambda text: text.replace(",", ", "),
    "tabs": lambda text: text.replace(",", "\t"),
    "semicolons": lambda text: text.replace(",", ";"),
    "old Mac line ends": lambda text: text.replace("\n", "\r"),
    "Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "all in quotes": lambda text: '"' + text[:-1].replace(",", '","').replace("\n", '"\n"') + '"\n',
    "aliases": lambda text: text.replace("user,item", "User_ID,movieId", 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_form_of_the_text_changes_nothing(tmp_path, change):
    frame = _frame()
    for name in ("plain", "log"):
        (tmp_path / name).mkdir()
    plain, path = tmp_path / "plain" / "log.csv", tmp_path / "log" / "log.csv"
    plain.write_text(_text(frame))
    path.write_bytes(CHANGES[change](_text(frame)).encode())
    expected = find_scenarios(load_table(plain), BY_COLUMN)
    data = _same_everywhere(path, tmp_path)
    assert data.counts["interactions read"] == len(frame)
    assert data.user_ids.tolist() == expected.user_ids.tolist()
    assert find_scenarios(load_table(path), BY_COLUMN).pair.tolist() == expected.pair.tolist()


def test_rows_without_scenario_are_background(tmp_path):
    frame = _frame()
    frame["scenario"] = [None if n % 7 == 0 else name for n, name in enumerate(frame["scenario"])]
    (tmp_path / "log.csv").write_text(_text(frame))
    frame.to_parquet(tmp_path / "log.parquet", row_group_size=90)
    data = [
        _same_everywhere(tmp_path / name, tmp_path / f"of {name}")
        for name in ("log.csv", "log.parquet")
    ]
    assert data[0].fingerprint() == data[1].fingerprint()
    assert data[0].counts["interactions read"] == 800
    assert data[0].counts["scenarios found"] == 8


def test_what_is_malformed_is_malformed_everywhere(tmp_path):
    frame = _frame()
    lines = _text(frame).splitlines()
    bad = {100: "s1,,3,4,5", 200: "s1,2,3", 300: "s1,2,3,4,5,6", 400: "s1,2,3,inf,5"}
    for line, text in bad.items():
        lines[line] = text
    path = tmp_path / "log.csv"
    path.write_text("\n".join(lines))
    data = _same_everywhere(path, tmp_path, ReadConfig(max_malformed=4))
    assert data.counts["interactions read"] == 796
    assert data.counts["malformed lines, left out"] == 4
    read = ReadConfig(block_mb=0.001, max_malformed=3)
    said = (
        r"Line 101 of .*log\.csv.*'s1,,3,4,5'; column 'user' is empty\. 4 such lines.*malformed=3"
    )
    with pytest.raises(ValueError, match=said):
        load_table(path, read=read)
    config = PrepareConfig(data=str(path), out=str(tmp_path / "out"), scenario=SCENARIOS, read=read)
    with pytest.raises(ValueError, match=said):
        prepare_folder(config)
    # What the message advises works: the unfinished preparation goes on.
    more = ReadConfig(block_mb=0.001, max_malformed=4)
    manifest = prepare_folder(
        PrepareConfig(data=str(path), out=str(tmp_path / "out"), scenario=SCENARIOS, read=more)
    )
    assert manifest["counts"]["malformed lines, left out"] == 4


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_without_rows_is_named_everywhere(tmp_path, suffix):
    path = tmp_path / f"log{suffix}"
    if suffix == ".csv":
        path.write_text("user,item,value,scenario\n")
    else:
        _frame()[:0].to_parquet(path)
    said = "log has no interactions. Give a file with at least one row"
    with pytest.raises(ValueError, match=said):
        open_scenario_data(str(path), SCENARIOS, SplitConfig(), 0)
    with pytest.raises(ValueError, match=said):
        prepare_folder(PrepareConfig(data=str(path), out=str(tmp_path / "out"), scenario=SCENARIOS))


def test_one_damaged_id_among_integers(tmp_path):
    frame = _frame(3000)
    frame["user"] += 1_700_000_000_000_000_000
    lines = _text(frame).splitlines()
    lines.insert(1500, "s1,abc,3,4,5")
    path = tmp_path / "log.csv"
    path.write_text("\n".join(lines))
    data = _same_everywhere(path, tmp_path, ReadConfig(max_malformed=10))
    assert data.counts["malformed lines, left out"] == 1
    assert data.user_ids.tolist() == sorted(set(frame["user"].tolist()))


def test_parquet_packed_parts_and_named_columns(tmp_path):
    frame = _frame().rename(columns={"user": "customer", "item": "sku"})
    frame["value"] = frame["value"] + 0.5
    read = ReadConfig(columns="user=customer,item=sku")
    (tmp_path / "log.csv").write_text(_text(frame))
    expected = _same_everywhere(tmp_path / "log.csv", tmp_path, read)
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "part-0.csv").write_text(_text(frame[:300], ";"))
    packed = pa.compress(_text(frame[300:500]).encode(), "zstd", asbytes=True)
    (folder / "part-1.csv.zst").write_bytes(packed)
    table = pa.Table.from_pandas(frame[500:], preserve_index=False)
    value = table["value"].cast(pa.decimal128(10, 2))
    pa.parquet.write_table(table.set_column(3, "value", value), folder / "part-2.parquet")
    data = _same_everywhere(folder, tmp_path / "of parts", read)
    assert data.fingerprint() == expected.fingerprint()
    assert data.counts.pop("files of the table") == 3
    assert data.counts == expected.counts
    # All that are missing are said at once.
    with pytest.raises(ValueError, match=r"missing: user, item\..*user=NAME,item=NAME"):
        open_scenario_data(str(tmp_path / "log.csv"), SCENARIOS, SplitConfig(), 0)
    with pytest.raises(ValueError, match=r"`columns` must be none unless"):
        open_rating_data("movielens-small", RATED, 0, read=read)
    with pytest.raises(ValueError, match=r"`columns` must be none unless"):
        open_scenario_data("movielens-small", SCENARIOS, SplitConfig(), 0, read=read)


def test_an_id_that_cannot_be_served_is_refused_where_it_is_read(tmp_path):
    frame = _frame()
    frame["item"] = [f"a\nb{n}" if n == 5 else f"a{n}" for n in frame["item"]]
    path = tmp_path / "log.parquet"
    frame.to_parquet(path)
    said = r"Line \d+ of .*log\.parquet.*column 'item' has a line break.*--read\.max-malformed"
    with pytest.raises(ValueError, match=said):
        load_table(path)
    with pytest.raises(ValueError, match=said):
        prepare_folder(PrepareConfig(data=str(path), out=str(tmp_path / "out"), scenario=SCENARIOS))
    folder = tmp_path / "rated"
    folder.mkdir()
    frame.to_parquet(folder / "ratings.parquet")
    (folder / "features.yaml").write_text("{}\n")
    with pytest.raises(ValueError, match=said.replace("log", "ratings")):
        open_rating_data(str(folder), RATED, 0)
