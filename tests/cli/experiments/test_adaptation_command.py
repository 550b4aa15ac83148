"""The experiments' command: what it measures is kept and never measured again."""

import json

SMALL = "planted:meta_train=6,meta_test=3,users=80,users_per_scenario=30,items_per_scenario=12"


def _table(run, out, *more):
    return run("adaptation.py", "table", "--out", out, "--data", SMALL, "--steps", 3, *more)


def test_a_table_is_measured_once_and_written(commands, tmp_path):
    more = ("--presets", "cmml-ridge", "no-context", "--support-sizes", 4)
    first = _table(commands.run_here, tmp_path, *more)
    assert first.returncode == 0, first.stderr
    rows = json.loads((tmp_path / "table.json").read_text())
    assert [row["series"] for row in rows] == ["cmml-ridge", "no-context"]
    for row in rows:
        assert row["steps"] == 3
        assert row["by_support"].keys() == {"4"}
        for name in ("own", "twin", "none", "swapped", "learned", "oracle"):
            assert 0 < row[name] <= 1
        for name in ("parameters", "encode_ms", "score_ms", "train_seconds"):
            assert row[name] > 0
    assert rows[1]["gain"] == 0  # without a context nothing changes
    assert "| no-context |" in (tmp_path / "table.md").read_text()
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "cells").iterdir()}
    assert len(kept) == 2
    assert not list((tmp_path / "runs").iterdir())

    again = _table(commands.run_here, tmp_path, *more, "--seeds", 0, 1, "--minutes", 0)
    assert again.returncode == 0, again.stderr
    assert "The time is up" in again.stdout
    assert kept == {file: file.stat().st_mtime_ns for file in (tmp_path / "cells").iterdir()}


def test_an_unknown_experiment_is_named(commands):
    ((status, errors),) = commands.run_several("adaptation.py", ["sequences"])
    assert status == 2
    assert "must be one of all, table, sequence" in errors
    assert "'sequences'" in errors
