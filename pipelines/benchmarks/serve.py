"""A server of its own process under closed-loop load of another, over gRPC on 127.0.0.1."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.client import overhead
from benchmarks.made_up import SUPPORT
from benchmarks.served.exports import (
    QUERY,
    predict_request,
    request_values,
    write_exports,
)
from benchmarks.served.load import closed_loop, generator
from benchmarks.served.reliability import measure as measure_reliability
from benchmarks.served.served_model import served_model
from cmml_tf.client import Client

CLIENTS = (1, 8)
_BATCHING = Path(__file__).resolve().parents[2] / "export" / "batching.config"
# Name of a measurement, and the model, signature and inputs it asks.
_CASES = {
    "trivial": ("trivial", ""),
    "full": ("cmml", "serving_default"),
    "full_keras_gru": ("keras_gru", "serving_default"),
    "with_context": ("cmml", "score_with_context"),
}


def measure(rounds: int, seconds: float, odd_requests: int) -> dict[str, Any]:
    """Requests a second by server, case and clients; ratios; client overhead; start; failures.

    Ratios are medians of the ratios of each round, whose measurements follow one another.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = f"--model_config_file={write_exports(folder)}"
        start = _start_seconds(folder)
        batching = ("--enable_batching=true", f"--batching_parameters_file={_BATCHING}")
        threads = "--grpc_max_threads=32"
        with (
            served_model(config, threads, engine="python") as plain,
            served_model(config, threads, *batching, engine="python") as batched,
        ):
            servers = {"plain": plain.address, "batching": batched.address}
            rates = _rates(servers, rounds, seconds)
            values = request_values()
            arguments = [values[name][0] for name in values if name != "support_length"]
            spent = overhead(plain.address, "cmml", arguments, rounds)
        request = predict_request("cmml", "serving_default", request_values())
        exports = folder / "cmml" / "1", folder / "other" / "1"
        reliability = measure_reliability(exports, request, odd_requests)
    return {
        "request": {"S": SUPPORT, "Q": QUERY, "ids": "int64"},
        "load": generator(),
        "requests_per_second": {
            f"{server}, {case}, {clients} clients": statistics.median(values)
            for (server, case, clients), values in rates.items()
        },
        "ratios": _ratios(rates),
        "client_overhead_cpu_ms": spent,
        "start_to_first_answer_seconds": start,
        "reliability": reliability,
    }


def _ratios(rates: dict[tuple[str, str, int], list[float]]) -> dict[str, float]:
    compared = {}
    for clients in CLIENTS:
        for server in ("plain", "batching"):
            full, keras, context = (
                (server, case, clients) for case in ("full", "full_keras_gru", "with_context")
            )
            compared[f"full / full with Keras' GRU, {server}, {clients} clients"] = full, keras
            compared[f"with_context / full, {server}, {clients} clients"] = context, full
        on, off = ("batching", "full", clients), ("plain", "full", clients)
        compared[f"batching on / off, {clients} clients"] = on, off
    return {
        name: statistics.median(a / b for a, b in zip(rates[above], rates[below], strict=True))
        for name, (above, below) in compared.items()
    }


def _rates(
    servers: dict[str, str], rounds: int, seconds: float
) -> dict[tuple[str, str, int], list[float]]:
    requests = _requests(servers["plain"])
    measured: dict[tuple[str, str, int], list[float]] = {}
    for number in range(rounds + 1):
        for clients in CLIENTS:
            for case, request in requests.items():
                for server, address in servers.items():
                    rate = closed_loop(address, request, clients, seconds if number else 0.3)
                    if number:  # the first round warms up
                        measured.setdefault((server, case, clients), []).append(rate)
    return measured


def _requests(address: str) -> dict[str, bytes]:
    values = request_values()
    with Client(address, "cmml", timeout=60) as client:
        names = ("support_user_id", "support_item_id", "support_label")
        context = client.encode_context(*(values[name] for name in names)).context
    query = {name: value for name, value in values.items() if name.startswith("query")}
    inputs = {
        "trivial": {"value": np.ones([1], np.float32)},
        "full": values,
        "full_keras_gru": values,
        "with_context": {"context": context, **query},
    }
    return {
        case: predict_request(*spec, inputs[case]).SerializeToString()
        for case, spec in _CASES.items()
    }


def _start_seconds(folder: Path) -> float:
    """From starting the process of a server of CMML alone to its first score."""
    values = request_values()
    arguments = [values[name][0] for name in values if name != "support_length"]
    start = time.monotonic()
    flags = (f"--model_base_path={folder / 'cmml'}", "--model_name=cmml")
    with (
        served_model(*flags, engine="python") as served,
        Client(served.address, "cmml", timeout=60) as client,
    ):
        client.score(*arguments)
        return time.monotonic() - start
