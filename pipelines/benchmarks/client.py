"""What the client costs a service: to import, on disk, and a call beyond the bare stub."""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf

from benchmarks.made_up import SUPPORT
from benchmarks.served.exports import DIMENSION, ITEMS, QUERY, USERS, request_values
from benchmarks.served.served_model import served_model
from cmml_tf.client import Client, wire
from cmml_tf.config import ModelConfig
from cmml_tf.models.build import build_model
from cmml_tf.serving.export import export_model

_CALLS = 100
_ROOT = Path(__file__).resolve().parents[2]
_PACKAGE = ("cmml_tf", "export", "setup.py", "pyproject.toml", "README.md", "LICENSE")
_IMPORT = """
import json, re, time
start = time.process_time()
from cmml_tf.client import Client
spent = time.process_time() - start
# The kernel's getrusage counts what the starting process held.
resident = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
print(json.dumps([spent, time.process_time(), resident]))
"""


def measure(rounds: int) -> dict[str, Any]:
    """CPU of the import and of calls, resident memory, and disk of an environment of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = _environment(folder)
        megabytes = _megabytes(folder / "environment")
        imports = _imports(python, rounds)
        models = _write_exports(folder / "models")
        with served_model(f"--model_config_file={models}", model_name="numbers") as served:
            overheads = {
                kind: overhead(served.address, kind, _arguments(kind), rounds)
                for kind in ("numbers", "text")
            }
    return {
        "import": imports,
        "environment_megabytes": megabytes,
        "request": {"S": SUPPORT, "Q": QUERY},
        "call_cpu_ms": overheads,
    }


def overhead(address: str, model_name: str, arguments: list[Any], rounds: int) -> dict[str, float]:
    """CPU milliseconds of this process for a call of `client.score` and of the bare stub.

    Args:
      address: Of a server.
      model_name: A model there.
      arguments: Of `client.score`.
      rounds: Rounds of a hundred calls each, after one to warm up.
    """
    method = wire.METHODS["Predict"]
    with Client(address, model_name, timeout=60) as client, grpc.insecure_channel(address) as plain:
        stub = plain.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        request = _request(model_name, client, arguments)
        calls = {
            "client.score": lambda: client.score(*arguments),
            "stub": lambda: stub(request, timeout=60),
        }
        measured: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(rounds + 1):
            for name, call in calls.items():
                spent = _cpu_seconds(call) / _CALLS
                if number:
                    measured[name].append(1e3 * spent)
    medians = {name: statistics.median(values) for name, values in measured.items()}
    differences = (a - b for a, b in zip(measured["client.score"], measured["stub"], strict=True))
    return {**medians, "difference": statistics.median(differences)}


def _cpu_seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    for _ in range(_CALLS):
        call()
    return time.process_time() - start


def _request(model_name: str, client: Client, arguments: list[Any]) -> Any:
    """The request that `client.score` sends, made by a plan without a network."""
    plan = client._plans.score(*[*arguments, None])
    client.score(*arguments)  # the signatures are known from here on
    return next(plan).request


def _arguments(kind: str) -> list[Any]:
    """Of `client.score`: arrays of numbers, or lists of strings, as callers have them."""
    values = {name: array[0] for name, array in request_values().items()}
    del values["support_length"]
    if kind == "numbers":
        return list(values.values())
    return [
        array if name == "support_label" else [f"id {number}" for number in array.tolist()]
        for name, array in values.items()
    ]


def _write_exports(folder: Path) -> Path:
    """One small model with ids that are numbers and one with ids that are text."""
    tf.keras.utils.set_random_seed(0)
    config = ModelConfig(encoder_units=8, hyper_units=8, backbone_units=(8, 8))
    model = build_model(config, USERS, ITEMS, DIMENSION, DIMENSION)
    numbers = np.arange(USERS), np.arange(ITEMS)
    export_model(model, folder / "numbers", *numbers)
    export_model(model, folder / "text", *([f"id {row}" for row in ids] for ids in numbers))
    configured = "".join(
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }} '
        for name in ("numbers", "text")
    )
    path = folder / "models.config"
    path.write_text(f"model_config_list {{ {configured}}}")
    return path


def _environment(folder: Path) -> Path:
    """The Python of an environment that has the wheel without extras, and no pip."""
    source, environment = folder / "source", folder / "environment"
    source.mkdir()
    # Version folders of the checkout are in no wheel.
    left_out = shutil.ignore_patterns("*.pyc", "[0-9]*")
    for name in _PACKAGE:
        if (_ROOT / name).is_dir():
            shutil.copytree(_ROOT / name, source / name, ignore=left_out)
        else:
            shutil.copy(_ROOT / name, source / name)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    for command in (
        (sys.executable, "-m", "venv", "--without-pip", str(environment)),
        (*pip, "--python", str(python), "install", str(source)),
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"An environment with the wheel was not made: {done.stderr.strip()}")
    return python


def _megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e6


def _imports(python: Path, rounds: int) -> dict[str, float]:
    results = []
    for number in range(rounds + 1):
        done = subprocess.run(
            [python, "-I", "-c", _IMPORT], capture_output=True, text=True, check=True
        )
        if number:  # the first compiles
            results.append(json.loads(done.stdout))
    spent, whole, resident = (statistics.median(values) for values in zip(*results, strict=True))
    return {
        "cpu_seconds": spent,
        "process_cpu_seconds": whole,
        "resident_megabytes": resident,
    }
