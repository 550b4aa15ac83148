"""The comparison command: killed and started again, it ends with the same table."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SMALL = ("--data", "log.csv", "--scenario.min-interactions", "100", "--seeds", "1")


def write_log(folder):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "scenario": np.repeat([f"theme {n}" for n in range(8)], 400),
            "user": [f"u{n}" for n in rng.integers(0, 60, 3200)],
            "item": rng.integers(0, 40, 3200),
        }
    )
    frame.to_csv(folder / "log.csv", index=False)


def read_table(out):
    """The table without what depends on the machine's mood."""
    table = json.loads((out / "table.json").read_text())
    for system in table["systems"]:
        assert system["cost"]["peak_memory_mib"] >= system["cost"]["memory_before_mib"] > 50
        steps = system["cost"].pop("steps")
        del system["cost"]
        system["steps"] = steps
    return table


def is_running(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
def test_killed_comparison_continues_and_ends_with_the_same_table(commands):
    write_log(commands.folder)
    # Three epochs: the kill comes behind a checkpoint of an unfinished training.
    command = ("compare.py", "--systems", "item-pop,pe", *SMALL, "--steps", "401")
    process = commands.start(*command, "--out", "killed")
    out = commands.folder / "killed"
    training = out / "seed-0" / "trainings" / "pe"
    while not (training / "metrics.jsonl").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    (worker,) = children(process.pid)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while is_running(worker):
        assert time.monotonic() < deadline, "the cell's process outlives the killed command"
        time.sleep(0.01)
    assert (out / "cells" / "item-pop-0" / "result.json").exists()
    assert not (out / "cells" / "pe-0" / "result.json").exists()
    assert not (out / "table.json").exists()
    before = (out / "cells" / "item-pop-0" / "result.json").stat().st_mtime_ns

    part = commands.run(*command, "--out", "killed", "--only-finished")
    assert part.returncode == 0, part.stderr
    assert "| **ItemPop** | 1 |" in part.stdout
    assert "| PE" not in part.stdout

    done = commands.run(*command, "--out", "killed")
    assert done.returncode == 0, done.stderr
    assert "[2/2] pe, seed 0" in done.stdout
    assert "[1/2]" not in done.stdout
    assert (out / "cells" / "item-pop-0" / "result.json").stat().st_mtime_ns == before
    lines = (training / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]

    whole = commands.run(*command, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    table = read_table(out)
    assert table == read_table(commands.folder / "whole")
    assert table["systems"][1]["steps"] == 3 * 133
    tasks = pd.read_parquet(out / "tasks.parquet")
    pd.testing.assert_frame_equal(
        tasks, pd.read_parquet(commands.folder / "whole" / "tasks.parquet")
    )
    own = tasks[(tasks["system"] == "pe") & (tasks["support"] == "own")]
    mean = np.average(own["recall@10"], weights=own["rows"])
    assert np.isclose(mean, table["systems"][1]["metrics"]["recall@10"]["mean"])

    # The paper's layout of the same cells runs nothing again.
    laid_out = commands.run(
        "reproduce.py", "table4", "--systems", "pe,item-pop", *command[3:], "--out", "killed"
    )
    assert laid_out.returncode == 0, laid_out.stderr
    assert "seed 0" not in laid_out.stdout
    lines = (out / "table4.md").read_text().splitlines()
    (pe,) = [line for line in lines if line.startswith("| PE |")]
    assert f"{100 * mean:.2f}" in pe
    assert [line for line in lines if line.startswith("| SE-dot | not run")]
    assert json.loads((out / "table4.json").read_text())["data"] == "log.csv"


def test_what_cannot_be_compared_is_one_sentence(commands):
    write_log(commands.folder)
    taken = commands.folder / "taken"
    taken.mkdir()
    (taken / "config.yaml").write_text("data: other.csv\n")
    (commands.folder / "gone" / "cells").mkdir(parents=True)
    cases = {
        ("--systems", "item-pop", "--out", "gone"): "gone/config.yaml is missing, so it cannot be",
        ("--systems", "bpr"): "`systems` must be names out of item-pop,",
        ("--systems", "pe", "--setting", "user"): "names out of global-mean",
        ("--systems", "item-pop", "--steps", "0"): "`steps` must be a positive integer",
        ("--systems", "pe", "--only-finished", "--out", "new"): "Nothing of pe is finished in new",
        ("--systems", "item-pop", "--out", "taken"): "started with another configuration",
        ("--systems", "item-pop", "--data", "nowhere", "--seeds", "1"): "Received: data='nowhere'",
    }
    results = commands.run_several("compare.py", *cases)
    for (arguments, message), (status, errors) in zip(cases.items(), results, strict=True):
        assert status == 2, arguments
        assert message in errors, arguments


@pytest.mark.slow
def test_figures_are_drawn_from_trainings_and_measurements(commands):
    write_log(commands.folder)
    options = (*SMALL, "--steps", "20", "--out", "out")
    runs = {
        "figure2": ("--systems", "pe,s2meta"),
        "figure3": ("--systems", "pe,cmml-ridge"),
        "figure4": (),
    }
    for figure, systems in runs.items():
        done = commands.run("reproduce.py", figure, *systems, *options)
        assert done.returncode == 0, done.stderr
    out = commands.folder / "out"
    for name in ("figure2-scenario", "figure3", "figure4-routes", "figure4-tasks"):
        assert (out / f"{name}.png").stat().st_size > 10_000
        assert "<svg" in (out / f"{name}.svg").read_text()
    costs = json.loads((out / "figure2-scenario.json").read_text())
    assert [*costs["s2meta"]] == ["1", "5", "10", "20"]
    assert costs["s2meta"]["20"]["request_ms"] > 5 * costs["s2meta"]["1"]["request_ms"]
    assert len((out / "figure3-projector" / "pe" / "contexts.tsv").read_text().splitlines()) == 40
