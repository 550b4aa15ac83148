"""Counts of what went wrong: versions swapped under load, damaged requests, kill -9 and restart."""

import os
import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from benchmarks.served.served_model import ServedModel, served_model
from cmml_tf.client import Client

CLIENTS = 8
SWAPS = 5
"""An odd number: the last version is a copy of the second model."""
_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INTERNAL,  # what gRPC itself says of bytes that are no request
    }
)


def measure(
    exports: tuple[Path, Path], request: predict_pb2.PredictRequest, odd_requests: int
) -> dict[str, Any]:
    """Counts of failures, all of which should be 0, beside the counts of what was tried.

    Args:
      exports: Version folders of two models with other weights; odd versions are copies of the
        first, even ones of the second.
      request: A good request to model `cmml`.
      odd_requests: Damaged copies of it to send.
    """
    base = exports[0].parents[1] / "swapped"
    shutil.copytree(exports[0], base / "1")
    flags = (f"--model_base_path={base}", "--model_name=cmml", "--grpc_max_threads=32")
    with served_model(*flags, engine="python") as served:
        first = _score(served, request)
        swaps, second = _swap(served, base, exports, request, first)
        fuzz = _fuzz(served, request.SerializeToString(), odd_requests)
        fuzz["failed"] += int(not _same(_score(served, request), second))
        os.kill(served.pid, signal.SIGKILL)
    with served_model(*flags, engine="python") as served:
        same = _same(_score(served, request), second)
    return {"hot_swap": swaps, "fuzz": fuzz, "kill_and_restart": {"failed": int(not same)}}


def _same(score: np.ndarray, other: np.ndarray) -> bool:
    return np.allclose(score, other, rtol=0, atol=1e-5)


def _score(served: ServedModel, request: predict_pb2.PredictRequest) -> np.ndarray:
    with grpc.insecure_channel(served.address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        return tf.make_ndarray(stub.Predict(request, timeout=60).outputs["score"])


def _swap(
    served: ServedModel,
    base: Path,
    exports: tuple[Path, Path],
    request: predict_pb2.PredictRequest,
    first: np.ndarray,
) -> tuple[dict[str, Any], np.ndarray]:
    """What 8 clients saw while versions came and went, and the scores of the last version."""
    stop, lock = threading.Event(), threading.Lock()
    seen: Counter[str] = Counter()
    answers: list[tuple[int, np.ndarray]] = []

    def ask() -> None:
        with grpc.insecure_channel(
            served.address, [("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while not stop.is_set():
                try:
                    response = stub.Predict(request, timeout=60)
                except grpc.RpcError:
                    seen["failed"] += 1
                    continue
                score = tf.make_ndarray(response.outputs["score"])
                with lock:
                    answers.append((response.model_spec.version.value, score))

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        for version in range(2, SWAPS + 2):
            shutil.copytree(exports[1 - version % 2], base / "tmp-copy")
            (base / "tmp-copy").rename(base / str(version))
            with Client(served.address, "cmml", version=version) as client:
                client.wait_until_ready(120)
            shutil.rmtree(base / str(version - 1))
            time.sleep(0.5)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    last = _score(served, request)
    scores = first, last
    mixed = sum(not _same(score, scores[1 - version % 2]) for version, score in answers)
    counts = {
        "answered": len(answers),
        "versions": len({version for version, _ in answers}),
        "failed": seen["failed"],
        "mixed": mixed,
    }
    return counts, last


def _fuzz(served: ServedModel, request: bytes, number: int) -> dict[str, int]:
    """Sends copies with bytes changed, cut off or repeated; a failure is no answer, or NaN."""
    rng, counts = np.random.default_rng(0), Counter(sent=number, answered=0, refused=0, failed=0)
    with grpc.insecure_channel(served.address) as channel:
        call = channel.unary_unary(
            _PREDICT, response_deserializer=predict_pb2.PredictResponse.FromString
        )
        for _ in range(number):
            try:
                response = call(_damaged(rng, request), timeout=30)
            except grpc.RpcError as error:
                counts["refused" if error.code() in _REFUSALS else "failed"] += 1
                continue
            score = tf.make_ndarray(response.outputs["score"])
            counts["answered" if np.isfinite(score).all() else "failed"] += 1
    return dict(counts)


def _damaged(rng: np.random.Generator, request: bytes) -> bytes:
    content = bytearray(request)
    for place in rng.integers(0, len(content), rng.integers(1, 4)):
        content[place] = rng.integers(256)
    cut = int(rng.integers(len(content)))
    kind = rng.integers(4)
    if kind == 0:
        return bytes(content[:cut])
    return bytes(content[:cut] + content) if kind == 1 else bytes(content)
