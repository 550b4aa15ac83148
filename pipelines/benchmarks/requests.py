"""What a request costs a server: CPU of its process, by model, question and callers at a time."""

import shutil
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf

from benchmarks import recommend
from benchmarks.made_up import SUPPORT
from benchmarks.networks.xla import model_of
from benchmarks.process_clock import process_seconds
from benchmarks.served.exports import (
    DIMENSION,
    ITEMS,
    QUERY,
    USERS,
    Trivial,
    predict_request,
    request_values,
)
from benchmarks.served.served_model import served_model
from cmml_tf.client import Client
from cmml_tf.compiled_size import CompiledSize
from cmml_tf.serving.export import export_model

CALLERS = (1, 8)
NOTHING, FULL, CACHED = "nothing", "full request", "with context"
RECOMMENDED = "cmml-matching"
NETWORKS = ("cmml-film", "cmml-soft-m")
_SIZE = CompiledSize(1, SUPPORT, QUERY)
_REQUESTS = 120
_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_FLAGS = (
    *("--xla_cpu_compilation_enabled=true", "--tensorflow_intra_op_parallelism=1"),
    "--grpc_max_threads=32",
)


def measure(rounds: int) -> dict[str, Any]:
    """CPU milliseconds of a request, and what ready versions have cost, in CPU seconds.

    The server is `tensorflow_model_server` where that is on the PATH. It serves all models at a
    time; they are asked in turn. `..., xla` is an export that is compiled for this very size.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bases = _exports(folder)
        starts = {}
        for model, base in bases.items():
            with served_model(f"--model_base_path={base}", "--model_name=cmml", *_FLAGS) as alone:
                starts[model] = process_seconds(alone.pid)
        medians = _asked(folder, bases, rounds)
    real = shutil.which("tensorflow_model_server")
    return {
        "engine": "python" if real is None else "tensorflow_model_server",
        "request": {"S": SUPPORT, "Q": QUERY, "ids": "int64"},
        "start_cpu_seconds": starts,
        **{
            f"{callers} callers": {
                "cpu_ms": {what: 1e3 * value for what, value in spent.items()},
                "to_nothing": {what: value / spent[NOTHING] for what, value in spent.items()},
                "xla_to_plain": _xla_to_plain(spent),
            }
            for callers, spent in medians.items()
        },
    }


def _exports(folder: Path) -> dict[str, Path]:
    """Model base paths by model."""
    trivial = Trivial()
    bases = {NOTHING: folder / NOTHING}
    tf.saved_model.save(trivial, str(bases[NOTHING] / "1"), signatures=trivial.double)
    rng = np.random.default_rng(0)
    users, items = (rng.normal(0, 0.25, (n, DIMENSION)).astype(np.float32) for n in (USERS, ITEMS))
    bases[RECOMMENDED] = recommend.export(RECOMMENDED, users, items, folder / RECOMMENDED).parent
    for preset in NETWORKS:
        for name, sizes in ((preset, []), (f"{preset}, xla", [_SIZE])):
            ids = np.arange(USERS), np.arange(ITEMS)
            version = export_model(model_of(preset), folder / name, *ids, compiled=sizes)
            bases[name] = version.parent
    return bases


def _asked(folder: Path, bases: dict[str, Path], rounds: int) -> dict[int, dict[str, float]]:
    """Median CPU seconds of a request, by callers at a time, and by model and question."""
    configured = "".join(
        f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" }} '
        for name, base in bases.items()
    )
    config = folder / "models.config"
    config.write_text(f"model_config_list {{ {configured}}}")
    measured: dict[int, dict[str, list[float]]] = {callers: {} for callers in CALLERS}
    with (
        served_model(f"--model_config_file={config}", *_FLAGS, model_name=NOTHING) as served,
        grpc.insecure_channel(served.address) as channel,
        ThreadPoolExecutor(max(CALLERS)) as pool,
    ):
        call = channel.unary_unary(_PREDICT)
        requests = _requests(served.address, list(bases))

        def ask(request: bytes) -> bytes:
            return call(request, timeout=60)

        for number in range(rounds + 1):
            for callers, of_callers in measured.items():
                for what, request in requests.items():
                    begin = process_seconds(served.pid)
                    if callers == 1:
                        for _ in range(_REQUESTS):
                            ask(request)
                    else:
                        list(pool.map(ask, [request] * _REQUESTS))
                    spent = (process_seconds(served.pid) - begin) / _REQUESTS
                    if number:  # the first round warms up
                        of_callers.setdefault(what, []).append(spent)
    return {
        callers: {what: statistics.median(values) for what, values in of_callers.items()}
        for callers, of_callers in measured.items()
    }


def _xla_to_plain(spent: dict[str, float]) -> dict[str, float]:
    return {
        f"{preset}, {case}": spent[f"{preset}, xla, {case}"] / spent[f"{preset}, {case}"]
        for preset in NETWORKS
        for case in (FULL, CACHED)
    }


def _requests(address: str, models: list[str]) -> dict[str, bytes]:
    """Serialized, by model and question."""
    values = request_values()
    query = {one: value for one, value in values.items() if one.startswith("query")}
    names = ("support_user_id", "support_item_id", "support_label")
    asked = {NOTHING: predict_request(NOTHING, "", {"value": np.ones([1], np.float32)})}
    for model in models:
        if model == NOTHING:
            continue
        with Client(address, model, timeout=60) as client:
            client.wait_until_ready(60)
            context = client.encode_context(*(values[name] for name in names)).context
        asked[f"{model}, {FULL}"] = predict_request(model, "serving_default", values)
        cached = {"context": context, **query}
        asked[f"{model}, {CACHED}"] = predict_request(model, "score_with_context", cached)
    return {what: request.SerializeToString() for what, request in asked.items()}
