"""The training command in two processes, of which one is killed; and what it refuses."""

import json
import socket
import subprocess
import sys
import time

import pytest
from cli.conftest import PIPELINES, quick
from fresh_environment import fresh_environment

QUICK = quick("cmml-film")
STRATEGY = ("train_scenario.py", *QUICK, "--strategy", "multiworker", "--run-dir", "run")
# The command in one process whose processor counts as two.
TWO_REPLICAS = """
import runpy, sys
import tensorflow as tf
processor = tf.config.list_physical_devices("CPU")[0]
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(processor, halves)
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


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


def _losses(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]
    return [row["loss"] for row in rows]


def _metrics(run_dir):
    return json.loads((run_dir / "metrics.json").read_text())["meta_test"]


@pytest.fixture
def two_replicas(tmp_path):
    """A run that nothing has interrupted, of one process that halves each step."""
    command = [sys.executable, "-c", TWO_REPLICAS, str(PIPELINES / STRATEGY[0]), *QUICK]
    done = subprocess.run(
        [*command, "--strategy", "mirrored", "--run-dir", "halved", "--export-dir", "other"],
        cwd=tmp_path,
        env=fresh_environment(TF_CPP_MIN_LOG_LEVEL="3"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tmp_path / "halved"


@pytest.fixture
def alone(commands_in, tmp_path_factory):
    """The folder of a run that nothing has interrupted, of one process."""
    commands = commands_in(tmp_path_factory.mktemp("alone"))
    done = commands.run("train_scenario.py", *QUICK, "--run-dir", "run")
    assert done.returncode == 0, done.stderr
    return commands.folder / "run"


@pytest.mark.slow
def test_after_a_worker_is_killed_both_start_again_and_end_as_one_process(
    alone, two_replicas, commands
):
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

    # Bit for bit those of one process that adds up the same halves of each step.
    for name in ("twin", "model"):
        assert _losses(run_dir / name) == _losses(two_replicas / name)
    assert _metrics(run_dir) == _metrics(two_replicas)
    # A step that is not halved is rounded otherwise, by 1e-7 at first. That grows: a start that is
    # one bit away ends as far. A twin grows it from its first step, in a bias without a gradient.
    begun = _losses(alone / "model")[:2]
    assert _losses(run_dir / "model")[:2] == pytest.approx(begun, abs=2e-6)
    assert _metrics(run_dir) == pytest.approx(_metrics(alone), abs=5e-3)


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
