"""Preparing in stages gives what reading everything into memory gives, however it is divided."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cmml_tf.config import ReadConfig, ScenarioConfig, SplitConfig
from cmml_tf.config.preparation import GenerateConfig, PrepareConfig
from cmml_tf.datasets.layouts import is_prepared
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.preparation.prepare import prepare_folder
from cmml_tf.datasets.preparation.prepared_folder import (
    FORMAT,
    load_prepared,
    prepared_manifest,
)
from cmml_tf.datasets.synthetic.generated_logs import generate_logs

# Small enough that everything is divided: dozens of blocks, several parts of users.
DIVIDED = {"memory_mb": 1, "read": ReadConfig(block_mb=0.05)}


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Generated folders, and tables of one's own with scenarios that share items."""
    folder = tmp_path_factory.mktemp("logs")
    sizes = {"interactions": 12_000, "users": 400, "items": 400, "scenarios": 12, "dimension": 8}
    generate_logs(GenerateConfig(out=str(folder / "films"), size="small", **sizes))
    generate_logs(GenerateConfig(out=str(folder / "themes"), size="small-taobao", **sizes))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "scenario": rng.choice(["a", "b", "c", "d", "e", "f", "g", ""], 6000),
            "user": [f"u{n}" for n in rng.integers(0, 200, 6000)],
            "item": rng.integers(0, 60, 6000),
            "value": rng.integers(1, 6, 6000),
        }
    )
    (folder / "log").mkdir()
    frame.to_csv(folder / "log" / "log.csv", index=False)
    frame["scenario"] = frame["scenario"].replace("", None)
    frame.to_parquet(folder / "log.parquet", row_group_size=500)
    # Scenarios that begin one after the other, in days, whose pairs come again elsewhere.
    numbers = np.array(["abcdefg".find(name) for name in frame["scenario"].fillna("a")])
    days = numbers * 9 + rng.integers(0, 20, 6000)
    frame["date"] = (np.datetime64("2024-01-01") + days).astype(str)
    frame.to_parquet(folder / "dated.parquet", row_group_size=500)
    return folder


GENRES = ScenarioConfig(definition="genre", min_items=5, min_value=3.5, min_interactions=50)
THEMES = ScenarioConfig(definition="column:scenario", min_items=5, min_interactions=50)
OWN = ScenarioConfig(definition="column:scenario", min_items=5, min_value=2, min_interactions=50)
CASES = {
    "genre combinations": ("films", ScenarioConfig(min_items=5), SplitConfig()),
    "genres that share films": ("films", GENRES, SplitConfig("strict", max_support_pairs=20)),
    "genres that share films, warm": ("films", GENRES, SplitConfig("warm", max_support_pairs=20)),
    "genres by time": ("films", GENRES, SplitConfig("time", validation_fraction=0.0)),
    "themes with pools and embeddings": ("themes", THEMES, SplitConfig()),
    "categories, warm": (
        "themes",
        ScenarioConfig(definition="column:leaf_category", min_items=3, min_interactions=30),
        SplitConfig("warm"),
    ),
    "a table of one's own": ("log.parquet", OWN, SplitConfig()),
    "a table of one's own with dates": ("dated.parquet", OWN, SplitConfig(max_support_pairs=50)),
    "the same from a share on": ("dated.parquet", OWN, SplitConfig(time=0.45)),
}


@pytest.mark.parametrize(("name", "scenario", "split"), CASES.values(), ids=CASES)
def test_it_is_what_reading_into_memory_gives(logs, tmp_path, name, scenario, split):
    expected = open_scenario_data(str(logs / name), scenario, split, seed=3)
    expected = replace(expected, item_features=(), user_features=())  # beside the split
    if split.protocol == "auto":
        assert expected.protocol == ("time" if name == "dated.parquet" else "strict")
    divisions = {"divided": DIVIDED, "whole": {"shards": 1}}
    for label, changes in divisions.items():
        config = PrepareConfig(
            data=str(logs / name),
            out=str(tmp_path / label),
            scenario=scenario,
            split=split,
            seed=3,
            **changes,
        )
        tasks = []
        prepare_folder(config, tasks.append)
        data = load_prepared(tmp_path / label)
        assert data.fingerprint() == expected.fingerprint()
        assert data.counts == expected.counts
        assert (data.because, data.moment) == (expected.because, expected.moment)
        parts = [task for task in tasks if task.startswith("pairs:")]
        assert (len(parts) > 1) == (label == "divided")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["divided", "whole"]


def test_csv_with_rows_of_no_scenario(logs, tmp_path):
    scenario = ScenarioConfig(min_items=5, min_value=2, min_interactions=50)
    for name in ("log", "log.parquet"):
        config = PrepareConfig(data=str(logs / name), out=str(tmp_path / name), scenario=scenario)
        prepare_folder(config)
    first, second = (load_prepared(tmp_path / name) for name in ("log", "log.parquet"))
    assert first.fingerprint() == second.fingerprint()
    assert {s.name for s in first.meta_train} < set("abcdefg")


def test_the_folder_is_opened_by_name_and_damage_is_named(logs, tmp_path):
    out = tmp_path / "prepared"
    config = PrepareConfig(data=str(logs / "films"), out=str(out))
    manifest = prepare_folder(config)
    assert is_prepared(out)
    data = open_scenario_data(str(out), ScenarioConfig(), SplitConfig(), seed=9)
    assert data.name == "films"
    assert data.fingerprint() == load_prepared(out).fingerprint()
    for split in (SplitConfig("warm"), SplitConfig(time=0.5)):
        with pytest.raises(ValueError, match=r"`protocol` must be strict or auto.*divided so.*Rec"):
            open_scenario_data(str(out), ScenarioConfig(), split, seed=9)
    assert json.loads((out / "manifest.json").read_text()) == json.loads(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"`out` must be a folder that does not exist"):
        prepare_folder(config)
    shard = next(out.glob("meta_train-*"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=rf"{shard.name} is missing or not the file that was writ"):
        load_prepared(out)
    shard.unlink()
    with pytest.raises(ValueError, match=rf"{shard.name} is missing"):
        load_prepared(out)
    (out / "manifest.json").unlink()
    assert not is_prepared(out)
    with pytest.raises(FileNotFoundError, match=r"is no prepared folder"):
        load_prepared(out)


@pytest.mark.parametrize(
    "damage",
    [
        lambda manifest: FORMAT.encode().join([b'["', b'",' + b"[" * 200_000]),
        lambda manifest: b"\xff" + json.dumps(manifest).encode(),
        lambda manifest: json.dumps(manifest).encode()[:-5],
        lambda manifest: json.dumps(manifest | {"files": []}).encode(),
        lambda manifest: json.dumps(manifest | {"protocol": {"name": "cold"}}).encode(),
        lambda manifest: json.dumps({k: manifest[k] for k in manifest if k != "protocol"}).encode(),
        lambda manifest: json.dumps(manifest | {"counts": {"users": "1"}}).encode(),
        lambda manifest: json.dumps(
            manifest | {"files": {"../outside": {"bytes": 1, "sha256": "0"}}}
        ).encode(),
    ],
    ids=[
        "deep",
        "not UTF-8",
        "cut",
        "no files",
        "odd protocol",
        "no protocol",
        "no counts",
        "a file outside",
    ],
)
def test_a_damaged_manifest_is_told(tmp_path, damage):
    manifest = prepared_manifest("films", {}, {"users": 1}, {})
    (tmp_path / "manifest.json").write_bytes(damage(manifest))
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        load_prepared(tmp_path)


def test_a_folder_of_another_version_is_told(tmp_path):
    manifest = prepared_manifest("films", {}, {"users": 1}, {})
    earlier = {k: v for k, v in manifest.items() if k != "protocol"}
    earlier["format"] = "cmml_tf prepared scenarios, version 1"
    (tmp_path / "manifest.json").write_text(json.dumps(earlier))
    with pytest.raises(ValueError, match=r"Another version of the library.*prepare the data again"):
        load_prepared(tmp_path)


def _add(path, lines):
    path.write_text(path.read_text() + "".join(f"{line}\n" for line in lines))


def test_malformed_lines_are_counted_and_refused_beyond_the_limit(logs, tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("ratings.csv", "movies.csv"):
        (folder / name).write_bytes((logs / "films" / name).read_bytes())
    whole = PrepareConfig(data=str(folder), out=str(tmp_path / "whole"), **DIVIDED)
    prepare_folder(whole)
    line = len((folder / "ratings.csv").read_text().splitlines()) + 1
    _add(folder / "ratings.csv", ["broken", "1,2,5.0,x"])
    config = PrepareConfig(data=str(folder), out=str(tmp_path / "out"), **DIVIDED)
    with pytest.raises(ValueError, match=rf"Line {line} of .*ratings\.csv must hold .*'broken'"):
        prepare_folder(config)
    assert not (tmp_path / "out").exists()
    # The advice is to raise the limit; the work goes on in the same place.
    read = replace(config.read, max_malformed=2)
    manifest = prepare_folder(replace(config, read=read))
    assert not (tmp_path / "out.partial").exists()
    # Times are not read, so the second line counts with its rating.
    assert manifest["counts"]["malformed lines, left out"] == 1
    assert manifest["counts"]["interactions read"] == line - 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"scenario": ScenarioConfig(definition="genre", min_items=900)},
            r"No scenario of films is left of the \d+ that genre gives: [1-9]",
        ),
        ({"scenario": ScenarioConfig(definition="tag")}, r"needs a column 'tags'"),
        ({"scenario": ScenarioConfig(min_value=9.0)}, r"`min_value` must leave interactions"),
        ({"split": SplitConfig(meta_test_fraction=0.95)}, r"fewer than 2 to learn from"),
        ({"data": "no-such"}, r"`data` must be a folder as GroupLens"),
    ],
)
def test_what_cannot_be_prepared_is_said_as_elsewhere(logs, tmp_path, changes, said):
    config = {"data": str(logs / "films"), "out": str(tmp_path / "out"), **changes}
    with pytest.raises(ValueError, match=said):
        prepare_folder(PrepareConfig(**config))
    assert not (tmp_path / "out").exists()


def test_unfinished_work_of_another_kind_is_not_mixed_in(logs, tmp_path):
    config = {"data": str(logs / "films"), "out": str(tmp_path / "out")}
    with pytest.raises(ValueError, match="No scenario"):
        prepare_folder(PrepareConfig(scenario=ScenarioConfig(min_items=900), **config))
    with pytest.raises(ValueError, match=r"out\.partial is of another configuration.*: scenario\)"):
        prepare_folder(PrepareConfig(**config))
