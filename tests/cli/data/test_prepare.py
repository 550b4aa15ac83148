"""The command that prepares data: the same from every runner, and through kills."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cmml_tf
from cmml_tf.config.preparation import GenerateConfig
from cmml_tf.datasets.layouts import is_prepared
from cmml_tf.datasets.preparation.prepared_folder import load_prepared
from cmml_tf.datasets.synthetic.generated_logs import generate_logs

PIPELINES = Path(__file__).resolve().parents[3] / "pipelines"
# Many small tasks.
DIVIDED = ("--memory-mb", "1", "--read.block-mb", "0.02")
OWN_COLUMNS = "user=customer,item=item_id"
FILTERS = ("--scenario.min-items", "5", "--scenario.min-interactions", "50")


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    sizes = {"interactions": 15_000, "users": 400, "items": 400, "scenarios": 12, "dimension": 8}
    generate_logs(GenerateConfig(out=str(folder / "films"), size="small", **sizes))
    generate_logs(GenerateConfig(out=str(folder / "themes"), size="small-taobao", **sizes))
    rng = np.random.default_rng(0)
    rows = zip(*(rng.integers(0, many, 4000) for many in (8, 300, 90, 2500)), strict=True)
    # One scenario begins after the other.
    lines = [f"s{n};{user:03d};i{item};{n * 1000 + t}\n" for n, user, item, t in rows]
    (folder / "own").mkdir()
    (folder / "own" / "part-0.csv").write_text(
        "scenario;customer;item_id;ts\n" + "".join(lines[:2000])
    )
    packed = gzip.compress(
        ("ts\titem_id\tcustomer\tscenario\n" + "".join(map(_turned, lines))).encode()
    )
    (folder / "own" / "part-1.tsv.gz").write_bytes(packed)
    return folder


def _turned(line):
    return "\t".join(reversed(line.strip().split(";"))) + "\n"


def _files(folder):
    """sha256 of all files but the manifest, and what that says of the data."""
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "manifest.json"
    }
    assert files == {name: record["sha256"] for name, record in manifest["files"].items()}
    return files, manifest["counts"]


def test_every_runner_writes_the_same_files(commands, logs, tmp_path):
    arguments = [
        ("--data", logs / data, "--out", tmp_path / f"{data}-{runner}", "--runner", runner)
        for data in ("films", "themes", "own")
        for runner in ("local", "beam")
    ]
    more = {"themes": ("--split.protocol", "warm"), "own": ("--columns", OWN_COLUMNS), "films": ()}
    arguments = [(*a, *more[a[1].name]) for a in arguments]
    results = commands.run_several("prepare.py", *[(*a, *DIVIDED, *FILTERS) for a in arguments])
    assert [status for status, _ in results] == [0] * 6, results
    for data in ("films", "themes", "own"):
        local, beam = (_files(tmp_path / f"{data}-{runner}") for runner in ("local", "beam"))
        assert local == beam
        assert sum(name.startswith("background-") for name in local[0]) > 1
        divided = load_prepared(tmp_path / f"{data}-beam")
        assert divided.protocol == {"films": "strict", "themes": "warm", "own": "time"}[data]
    assert "item_embeddings.npy" in _files(tmp_path / "themes-beam")[0]
    own = load_prepared(tmp_path / "own-beam")
    assert own.user_ids.tolist() == [f"{user:03d}" for user in range(300)]
    assert own.counts["interactions read"] == 6000
    manifest = json.loads((tmp_path / "own-beam" / "manifest.json").read_text())
    assert manifest["config"]["read"]["columns"] == OWN_COLUMNS


def test_killed_runs_go_on_and_leave_nothing_that_looks_complete(commands, logs, tmp_path):
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    # So many shards that much is left to do whenever the kill arrives.
    command = ("prepare.py", "--data", logs / "themes", *DIVIDED, *FILTERS, "--shards", 24, "--out")
    assert commands.run_here(*command, tmp_path / "unbroken").returncode == 0

    for stage in ("embeddings", "pairs", "scenarios"):
        process = commands.start(*command, out)
        deadline = time.monotonic() + 120
        while not list((partial / stage).glob("*.record")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the stage was not reached"
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not out.exists()
        assert not is_prepared(partial)
        assert not list(partial.rglob("manifest.json"))

    # A kept file that is not what was recorded is made again.
    kept = next((partial / "pairs").glob("*.npz"))
    kept.write_bytes(kept.read_bytes()[:-10] + b"0123456789")
    done = commands.run_here(*command, out)
    assert done.returncode == 0, done.stderr
    assert "kept from before" in done.stdout
    assert _files(out) == _files(tmp_path / "unbroken")
    assert not partial.exists()


def test_a_prepared_folder_is_trained_on(commands, logs, tmp_path):
    out = tmp_path / "films"
    command = ("--data", logs / "films", "--out", out, *FILTERS)
    done = commands.run("prepare.py", *command)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout[done.stdout.index("{\n") :])
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert figures["rows"] == counts["interactions read"]
    assert figures["peak_mb"] > 50
    # As the command trains on it; what follows a training asks the folder nothing more.
    short = {"training": {"steps_per_epoch": 2, "max_epochs": 1}, "embedding": {"dimension": 8}}
    data = cmml_tf.scenario_data(str(out))
    trained = cmml_tf.fit(data, "pe", run_dir=tmp_path / "run", options=short, progress=False)
    assert f"meta-test scenarios: {counts['meta-test scenarios']}" in str(data).splitlines()
    user, items = data.data.user_ids[0], data.data.item_ids
    support = pd.DataFrame({"user": [user] * 2, "item": items[:2]})
    best = trained.recommend(support, user, k=3)
    assert best["item_known"].all()
    assert np.isfinite(best["score"]).all()


def test_a_runner_that_is_not_installed_names_its_extra(commands, logs, tmp_path):
    code = (
        "import sys; sys.modules['apache_beam'] = None; sys.argv[0] = 'prepare.py'\n"
        "from cmml_tf.program import run; import prepare; run(prepare.main)"
    )
    arguments = ["--data", logs / "films", "--out", tmp_path / "out", "--runner", "beam"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{PIPELINES}{os.pathsep}{PIPELINES.parent}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'cmml_tf[beam]'" in done.stderr
    assert not any(tmp_path.iterdir())


def test_two_prepared_sets_become_one(commands, logs, tmp_path):
    for name in ("films", "themes"):
        arguments = ("--data", logs / name, "--out", tmp_path / name, *FILTERS)
        done = commands.run_here("prepare.py", *arguments)
        assert done.returncode == 0, done.stderr
    both = ("--first", "films", "--second", "themes", "--out", "both", "--alignment", "project")
    done = commands.run_here("hybrid.py", *both, "--embedding.dimension", 16)
    assert done.returncode == 0, done.stderr
    films, themes, data = (load_prepared(tmp_path / n) for n in ("films", "themes", "both"))
    assert data.user_embeddings.shape == (len(films.user_ids) + len(themes.user_ids), 16)
    assert len(data.meta_test) == len(films.meta_test) + len(themes.meta_test)
    # The wider embeddings are as they were, the narrower ones are turned.
    found = data.item_embeddings[len(films.item_ids) :]
    np.testing.assert_allclose(
        found[:20] @ found[:20].T,
        themes.item_embeddings[:20] @ themes.item_embeddings[:20].T,
        atol=1e-4,
    )
    again = commands.run_here("hybrid.py", *both)
    assert again.returncode == 2
    assert again.stderr.startswith("error: `out` must be a folder that does not exist.")
