"""Trainings of several replicas and processes are the training of one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from training import strategy_worker

from cmml_tf.episodes.sampled_steps import sampled_steps
from cmml_tf.training.strategies import distributed_episodes, open_strategy
from cmml_tf.types import Episode, Support

TESTS = Path(__file__).resolve().parents[1]


def free_addresses(count):
    """Of ports that were free a moment ago."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{listener.getsockname()[1]}" for listener in listeners]
    for listener in listeners:
        listener.close()
    return addresses


def start(cluster, role, index, log, **options):
    """A process of the training."""
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
    }
    if cluster:
        task = {"type": role, "index": index}
        environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    defaults = {"changes": {}, "processors": 1, "with_support": True}
    command = [sys.executable, strategy_worker.__file__, json.dumps({**defaults, **options})]
    with Path(log).open("w") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file)


def finished(process, log, output):
    """The history that a process has left."""
    assert process.wait(timeout=240) == 0, Path(log).read_text()[-3000:]
    return json.loads(Path(output).read_text())


def assert_same_training(ours, theirs):
    assert ours == [pytest.approx(entry, abs=1e-5) for entry in theirs]


@pytest.fixture(
    scope="module",
    params=[True, pytest.param(False, marks=pytest.mark.slow)],
    ids=["model", "twin"],
)
def options(request):
    """Of the model, and of its twin, which has less to learn from."""
    changes = {} if request.param else {"learning_rate": 1e-2}
    return {"changes": changes, "with_support": request.param}


@pytest.fixture(scope="module")
def alone(options, tmp_path_factory):
    """The training of this process, whose losses move by far more than the tolerance."""
    settings = strategy_worker.settings(**options["changes"])
    folder = tmp_path_factory.mktemp("alone")
    trained = strategy_worker.train(settings, folder, with_support=options["with_support"])
    losses = [entry["loss"] for entry in trained]
    assert np.abs(np.diff(losses)).min() > 3e-4
    return trained


@pytest.mark.slow
def test_two_workers_train_as_one_process_and_only_the_chief_writes(alone, options, tmp_path):
    cluster = {"worker": free_addresses(2)}
    folder = tmp_path / "run"
    started = []
    for index in range(2):
        log, output = tmp_path / f"{index}.log", tmp_path / f"{index}.json"
        one = {"name": "multiworker", "folder": str(folder), "output": str(output), **options}
        started.append((start(cluster, "worker", index, log, **one), log, output))
    results = [finished(*process) for process in started]
    for result in results:
        assert_same_training(result, alone)
    # What decides is the same in each process, bit for bit.
    assert results[0] == results[1]
    events = list((folder / "tensorboard" / "train").glob("events*"))
    assert len(events) == 1
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 3
    assert {path.name for path in folder.iterdir()} == {
        *("checkpoints", "history.csv", "metrics.jsonl", "tensorboard")
    }


def test_two_replicas_of_one_process_train_as_one(alone, options, tmp_path):
    log, output = tmp_path / "log", tmp_path / "output.json"
    one = {"name": "mirrored", "folder": str(tmp_path / "run"), "output": str(output), **options}
    process = start(None, None, None, log, processors=2, **one)
    assert_same_training(finished(process, log, output), alone)


@pytest.mark.slow
def test_a_parameter_server_and_its_worker_train(tmp_path):
    chief, server, worker = free_addresses(3)
    cluster = {"chief": [chief], "ps": [server], "worker": [worker]}
    output = tmp_path / "output.json"
    options = {
        "name": "parameter-server",
        "folder": str(tmp_path / "run"),
        "output": str(output),
        # Enough of them that the loss falls, whichever weights a step of the worker has met.
        "changes": {
            "weight_average": 0.0,
            "gradient_clip": None,
            "steps_per_epoch": 40,
            "learning_rate": 1e-2,
        },
    }
    served = [
        start(cluster, role, 0, tmp_path / f"{role}.log", **options) for role in ("ps", "worker")
    ]
    try:
        log = tmp_path / "chief.log"
        history = finished(start(cluster, "chief", 0, log, **options), log, output)
        assert [process.poll() for process in served] == [None, None]
    finally:
        for process in served:
            process.kill()
            process.wait()
    losses = [entry["loss"] for entry in history]
    assert losses[2] < 0.7 * losses[0]
    assert {"epoch", "loss", "lr", "val_recall@20"} <= history[0].keys()
    assert list((tmp_path / "run" / "checkpoints" / "latest").glob("ckpt-3.index"))


class Replicas:
    """Stands for a strategy of several replicas, as far as the division of tasks asks."""

    num_replicas_in_sync = 3


def test_tasks_that_cannot_be_divided_among_the_replicas_are_refused():
    rows = tf.zeros([4, 1], tf.int32)
    episode = Episode(Support(rows, rows, rows, rows[:, 0]), rows, rows, rows)
    message = (
        r"`tasks_per_step` must be a multiple of the number of replicas, 3. "
        r"Received: tasks_per_step=4."
    )
    with pytest.raises(ValueError, match=message):
        distributed_episodes(Replicas(), lambda step: sampled_steps(lambda _: episode, step), 0)


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("horovod", "", r"`strategy` must be one of none, mirrored, .*strategy='horovod'"),
        ("multiworker", "", r"multiworker needs the environment variable TF_CONFIG"),
        ("multiworker", "{", r"Received: TF_CONFIG='\{'"),
        (
            "multiworker",
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            r"TF_CONFIG with a cluster of worker",
        ),
        (
            "parameter-server",
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
            r"TF_CONFIG with a cluster of chief, worker, ps",
        ),
    ],
)
def test_a_strategy_that_cannot_be_opened_is_refused(monkeypatch, name, config, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=message):
        open_strategy(name)
