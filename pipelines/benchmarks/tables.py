"""Frozen embedding tables of a real catalogue's size: load, train, export, load again."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.made_up import fill_tables, random_episode
from benchmarks.served.exports import request_values
from benchmarks.timing import cpu_seconds
from cmml_tf.config.model import ModelConfig
from cmml_tf.datasets.safe_files.matrix_file import read_matrix
from cmml_tf.models.build import build_model
from cmml_tf.models.cmml import CMML
from cmml_tf.serving.export import export_model
from cmml_tf.tasks.scenario import HingeTask
from cmml_tf.training.checkpoint import TrainingState
from cmml_tf.training.efficiency import peak_memory_mib
from cmml_tf.training.optimizer import AdamL2

USERS, ITEMS, FEW_ITEMS, DIMENSION = 700_000, 1_400_000, 14_000, 128
TASKS, QUERY = 4, 256
_BLOCK = 50_000
_STEPS_A_ROUND = 3
_LOAD = (
    "import json, re, sys, time; import numpy as np, tensorflow as tf\n"
    # Not getrusage's peak, which begins with that of the process that started this one.
    "peak = lambda: re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]\n"
    "memory = lambda: int(peak()) / 1024\n"
    "before, start = memory(), time.monotonic()\n"
    "loaded = tf.saved_model.load(sys.argv[1])\n"
    "seconds = time.monotonic() - start\n"
    "values = {k: tf.constant(v) for k, v in np.load(sys.argv[2]).items()}\n"
    "score = loaded.signatures['serving_default'](**values)['score'].numpy()\n"
    "first = time.monotonic() - start\n"
    "assert np.isfinite(score).all()\n"
    "print(json.dumps({'seconds': seconds, 'seconds_to_first_score': first,\n"
    "                  'peak_memory_mib_above_imports': memory() - before}))\n"
)


def measure(rounds: int) -> dict[str, Any]:
    """Sizes, seconds and peak memory of each part, and the CPU ratio of training steps."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [_write(folder / f"{rows}.npy", rows) for rows in (USERS, ITEMS, FEW_ITEMS)]
        before = peak_memory_mib()
        start = time.monotonic()
        large = _model(files[0], files[1])
        filled = time.monotonic() - start
        peak_filled = peak_memory_mib()
        small = _model(files[0], files[2])
        ratios, seconds = _step_ratio(large, small, rounds)
        peak_trained = peak_memory_mib()
        checkpoint = _checkpoint_mib(large, folder / "checkpoints")
        del small
        start = time.monotonic()
        version = export_model(large, folder / "export", np.arange(USERS), np.arange(ITEMS))
        exported = time.monotonic() - start
        request: dict[str, Any] = request_values()
        np.savez(folder / "request.npz", **request)
        loaded = subprocess.run(
            [sys.executable, "-c", _LOAD, str(version), str(folder / "request.npz")],
            capture_output=True,
            text=True,
            check=True,
        )
        tables = (USERS + ITEMS) * DIMENSION * 4 / 2**20
        return {
            "users": USERS,
            "items": ITEMS,
            "dimension": DIMENSION,
            "tables_mib": tables,
            "files_to_model_seconds": filled,
            "files_to_model_peak_mib": peak_filled - before,
            "training_step": {
                "tasks": TASKS,
                "cpu_seconds": seconds,
                "large_to_small_cpu_ratio": statistics.median(ratios),
                "ratios": ratios,
            },
            "training_peak_mib": peak_trained - before,
            "checkpoint_mib": checkpoint,
            "export_seconds": exported,
            "export_peak_mib": peak_memory_mib() - before,
            "graph_mib": (version / "saved_model.pb").stat().st_size / 2**20,
            "variables_mib": _size_mib(version / "variables"),
            "load": json.loads(loaded.stdout),
        }


def _write(file: Path, rows: int) -> Path:
    """Random embeddings, written block by block."""
    rng = np.random.default_rng(rows)
    table = np.lib.format.open_memmap(file, "w+", np.float32, (rows, DIMENSION))
    for first in range(0, rows, _BLOCK):
        block = table[first : first + _BLOCK]
        block[:] = rng.standard_normal(block.shape, np.float32) * np.float32(0.25)
    table.flush()
    return file


def _model(user_file: Path, item_file: Path) -> CMML:
    tf.keras.utils.set_random_seed(0)
    users, items = read_matrix(user_file), read_matrix(item_file)
    model = build_model(
        ModelConfig(), len(users), len(items), DIMENSION, DIMENSION, task=HingeTask()
    )
    fill_tables(model, users, items)
    model.compile(optimizer=AdamL2(1e-3))
    return model


def _step_ratio(large: CMML, small: CMML, rounds: int) -> tuple[list[float], dict[str, float]]:
    """CPU ratio of each round, and the median seconds of a step of either; new ids each step."""
    steps = {}
    for name, model in (("large", large), ("small", small)):
        step = tf.function(model.train_step)
        tasks = iter(range(10**9))
        rows = USERS, model.pair_embedding.items
        steps[name] = lambda step=step, tasks=tasks, rows=rows: step(
            random_episode(TASKS, QUERY, rows, next(tasks))
        )
    ratios = []
    measured: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        seconds = cpu_seconds(steps, 1, _STEPS_A_ROUND)
        ratios.append(seconds["large"] / seconds["small"])
        for name, value in seconds.items():
            measured[name].append(value)
    return ratios, {name: statistics.median(values) for name, values in measured.items()}


def _checkpoint_mib(model: CMML, folder: Path) -> float:
    """What an epoch writes: network, moments, best weights; no frozen table."""
    state = TrainingState(model, folder, None)
    state.on_epoch_end(0, {"loss": 0.0})
    return _size_mib(folder)


def _size_mib(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
