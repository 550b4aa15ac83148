"""What XLA gains and costs: the forward pass, a training step, and a server's requests."""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from served_model import served_model
from tensorflow_serving.apis import predict_pb2

from benchmarks.served.exports import QUERY, SUPPORT, request_values
from benchmarks.timing import cpu_seconds
from cmml_tf.client import Client
from cmml_tf.compiled_size import CompiledSize
from cmml_tf.experiments.forms import model_preset
from cmml_tf.models.build import build_model
from cmml_tf.models.cmml import CMML
from cmml_tf.serving.export import export_model
from cmml_tf.tasks.scenario import HingeTask
from cmml_tf.training.optimizer import AdamL2
from cmml_tf.types import Episode, Support

NETWORKS = ("cmml-film", "cmml-soft-m", "cmml-film-plus")
CLOSED_FORM = ("cmml-ridge", "cmml-film-ridge")
SIZE = CompiledSize(1, SUPPORT, QUERY)
USERS, ITEMS, DIMENSION, TASKS_A_STEP = 3000, 3000, 64, 4
_CALLS, _STEPS, _REQUESTS = 10, 3, 100
_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_HOW: dict[str, dict[str, Any]] = {"plain": {}, "xla": {"jit_compile": True}}


def measure(rounds: int) -> dict[str, Any]:
    """CPU milliseconds with and without XLA, what compiling costs, and the ratios.

    The first two on one thread of this process. The server is `tensorflow_model_server` where that
    is on the PATH, and each of its CPU seconds counts.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    both = (*NETWORKS, *CLOSED_FORM)
    with tempfile.TemporaryDirectory() as name:
        return {
            "size": str(SIZE),
            "forward": {preset: _forward(preset, rounds) for preset in both},
            "training": {preset: _training(preset, rounds) for preset in NETWORKS},
            "server": _server(Path(name), rounds),
        }


def _model(preset: str) -> CMML:
    tf.keras.utils.set_random_seed(0)
    task = HingeTask()
    model = build_model(model_preset(preset), USERS, ITEMS, DIMENSION, DIMENSION, task=task)
    rng = np.random.default_rng(0)
    tables = (rng.normal(0, 0.25, (rows, DIMENSION)) for rows in (USERS, ITEMS))
    model.pair_embedding.set_tables(*tables)
    return model


def _episode(tasks: int, query: int) -> Episode:
    rng = np.random.default_rng(1)

    def ids(width: int) -> tf.Tensor:
        return tf.constant(rng.integers(0, USERS, (tasks, width)), tf.int32)

    labels = tf.repeat([[1.0] * (SUPPORT // 3) + [0.0] * (SUPPORT - SUPPORT // 3)], tasks, axis=0)
    support = Support(ids(SUPPORT), ids(SUPPORT), labels, tf.fill([tasks], SUPPORT))
    query_label = tf.repeat([[1.0] * (query // 2) + [0.0] * (query // 2)], tasks, axis=0)
    return Episode(support, ids(query), ids(query), query_label)


def _forward(preset: str, rounds: int) -> dict[str, Any]:
    model, episode = _model(preset), _episode(1, QUERY)
    calls: dict[str, Callable[[], object]] = {}
    for how, options in _HOW.items():
        encode = tf.function(lambda *s: model.encode_context(Support(*s)), **options)
        score = tf.function(model.score_with_context, **options)
        context = encode(*episode.support)
        query = context, episode.query_user, episode.query_item
        calls[f"encode, {how}"] = lambda encode=encode: encode(*episode.support)
        calls[f"score, {how}"] = lambda score=score, query=query: score(*query)
    return _compared(cpu_seconds(calls, rounds, _CALLS))


def _training(preset: str, rounds: int) -> dict[str, Any]:
    episode, calls = _episode(TASKS_A_STEP, 256), {}
    for how, options in _HOW.items():
        model = _model(preset)
        model.compile(optimizer=AdamL2(1e-3), **options)
        step = tf.function(model.train_step, **options)
        calls[f"step, {how}"] = lambda step=step: step(episode)
    return _compared(cpu_seconds(calls, rounds, _STEPS))


def _compared(seconds: Mapping[str, float]) -> dict[str, Any]:
    whats = dict.fromkeys(name.rsplit(", ", 1)[0] for name in seconds)
    return {
        what: {
            **{f"{how}_cpu_ms": 1e3 * seconds[f"{what}, {how}"] for how in _HOW},
            "ratio": seconds[f"{what}, xla"] / seconds[f"{what}, plain"],
        }
        for what in whats
    }


def _server(folder: Path, rounds: int) -> dict[str, Any]:
    flags = "--xla_cpu_compilation_enabled=true", "--tensorflow_intra_op_parallelism=1"
    ids, starts, configured = (np.arange(USERS), np.arange(ITEMS)), {}, ""
    for preset in NETWORKS:
        for how in _HOW:
            name, base = f"{preset}, {how}", folder / f"{preset}-{how}"
            export_model(_model(preset), base, *ids, compiled=[SIZE] if how == "xla" else [])
            configured += (
                f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" }} '
            )
            with served_model(f"--model_base_path={base}", "--model_name=cmml", *flags) as alone:
                starts[name] = _process_seconds(alone.pid)
    config = folder / "models.config"
    config.write_text(f"model_config_list {{ {configured}}}")
    measured: dict[str, list[float]] = {}
    first = f"{NETWORKS[0]}, plain"
    with (
        served_model(f"--model_config_file={config}", *flags, model_name=first) as served,
        grpc.insecure_channel(served.address) as channel,
    ):
        ask = channel.unary_unary(_PREDICT)
        requests = {
            f"{case}, {name}": request
            for name in starts
            for case, request in _requests(served.address, name).items()
        }
        for number in range(rounds + 1):
            for what, request in requests.items():
                begin = _process_seconds(served.pid)
                for _ in range(_REQUESTS):
                    ask(request, timeout=60)
                spent = (_process_seconds(served.pid) - begin) / _REQUESTS
                if number:  # the first round warms up
                    measured.setdefault(what, []).append(spent)
    real = shutil.which("tensorflow_model_server")
    return {
        "engine": "python" if real is None else "tensorflow_model_server",
        "start_cpu_seconds": starts,
        **_compared({what: statistics.median(values) for what, values in measured.items()}),
    }


def _process_seconds(pid: int) -> float:
    """CPU seconds of a process; Linux has a clock for each, numbered so."""
    return time.clock_gettime(~pid << 3 | 2)


def _requests(address: str, name: str) -> dict[str, bytes]:
    values = request_values()
    with Client(address, name, timeout=60) as client:
        client.wait_until_ready(60)
        inputs = ("support_user_id", "support_item_id", "support_label")
        context = client.encode_context(*(values[one] for one in inputs)).context
    query = {one: value for one, value in values.items() if one.startswith("query")}
    asked = {"full request": values, "with context": {"context": context, **query}}
    signatures = {"full request": "serving_default", "with context": "score_with_context"}
    requests = {}
    for case, given in asked.items():
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = name, signatures[case]
        for key, value in given.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
        requests[case] = request.SerializeToString()
    return requests
