"""The training command in two processes, of which one is killed; and what it refuses."""

import json
import socket
import time

import pytest
from cli.conftest import QUICK

STRATEGY = ("train_scenario.py", *QUICK, "--strategy", "multiworker", "--run-dir", "run")


def _start_both(commands, ports):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    configs = [json.dumps({"cluster": cluster, "task": task}) for task in tasks]
    return [commands.start(*STRATEGY, TF_CONFIG=config) for config in configs]


def _free_ports():
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@pytest.mark.slow
def test_after_a_worker_is_killed_both_start_again_and_end_as_one_process(finished_run, commands):
    run_dir = commands.folder / "run"
    chief, worker = _start_both(commands, _free_ports())
    while not (run_dir / "twin" / "metrics.jsonl").exists():
        assert (chief.poll(), worker.poll()) == (None, None)
        time.sleep(0.01)
    worker.kill()
    worker.communicate()
    _, errors = chief.communicate(timeout=120)
    assert chief.returncode == 2
    (sentence,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert "Another process of this training has ended or cannot be reached" in sentence
    assert not (commands.folder / "export" / "candidates").exists()

    both = _start_both(commands, _free_ports())
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    for output, _ in outputs:
        resumed = [line for line in output.splitlines() if line.startswith("Resumed")]
        assert resumed[0] == "Resumed behind epoch 5."
        assert resumed[1] in [f"Resumed behind epoch {epoch}." for epoch in range(1, 5)]
    assert [path.name for path in (commands.folder / "export" / "candidates").iterdir()] == ["1"]
    for name in ("twin", "model"):
        ours, theirs = (
            [
                json.loads(line)
                for line in (folder / name / "metrics.jsonl").read_text().splitlines()
            ]
            for folder in (run_dir, finished_run.run_dir)
        )
        assert [row["epoch"] for row in ours] == [1, 2, 3, 4, 5]
        losses = [row["loss"] for row in theirs]
        assert [row["loss"] for row in ours] == pytest.approx(losses, abs=1e-4)
    ours, theirs = (
        json.loads((folder / "metrics.json").read_text())["meta_test"]
        for folder in (run_dir, finished_run.run_dir)
    )
    assert ours == pytest.approx(theirs, abs=5e-3)


def test_strategies_that_cannot_begin_are_refused_before_anything_is_written(commands):
    cases = {
        ("--strategy", "multiworker"): "needs the environment variable TF_CONFIG",
        ("--strategy", "parameter-server"): "`weight_average` must be 0 with",
        (
            *("--strategy", "parameter-server", "--training.weight-average", "0"),
        ): "TF_CONFIG with a cluster of chief, worker, ps",
    }
    results = commands.run_several("train_scenario.py", *cases)
    for (arguments, message), (status, errors) in zip(cases.items(), results, strict=True):
        assert status == 2, arguments
        assert message in errors, arguments
    assert not list(commands.folder.iterdir())
