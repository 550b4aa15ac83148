"""What a version folder costs whoever serves it: bytes, and milliseconds of an answer."""

import statistics
import time
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from cmml_tf.serving.version.warmup import WARMUP_FILE

_MEASURED = ("serving_default", "score_with_context")
"""What is asked most. The first call of any signature takes a second or two of a training run."""
_REPEATS, _SECONDS = 20, 1.0


def version_bytes(version: Path) -> int:
    """The bytes of all files of a version folder."""
    return sum(file.stat().st_size for file in version.rglob("*") if file.is_file())


def version_cost(version: Path) -> dict[str, Any]:
    """Loads a version as a server does and answers its own warm-up requests.

    Args:
      version: A version folder.

    Returns:
      `bytes`; `load_seconds`; `latency`: a full request (`serving_default`) and one with a cached
      context (`score_with_context`) -> `median_ms` and `slowest_ms` of up to 20 answers by the
      clock, in this process, without a network, to the first warm-up request: one task of the
      usual size.
    """
    began = time.monotonic()
    loaded = tf.saved_model.load(str(version))
    load_seconds = time.monotonic() - began
    latency = {}
    for name, inputs in _first_requests(version).items():
        signature = loaded.signatures[name]
        signature(**inputs)  # the first call makes ready what the others use
        taken: list[float] = []
        while len(taken) < _REPEATS and sum(taken) < _SECONDS:
            began = time.monotonic()
            signature(**inputs)
            taken.append(time.monotonic() - began)
        median, slowest = 1e3 * statistics.median(taken), 1e3 * max(taken)
        latency[name] = {"median_ms": median, "slowest_ms": slowest}
    return {"bytes": version_bytes(version), "load_seconds": load_seconds, "latency": latency}


def _first_requests(version: Path) -> dict[str, dict[str, tf.Tensor]]:
    """The first warm-up request of each signature that is measured."""
    found: dict[str, dict[str, tf.Tensor]] = {}
    for record in tf.data.TFRecordDataset(str(version / WARMUP_FILE)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        if log.HasField("predict_log") and request.model_spec.signature_name in _MEASURED:
            inputs = {
                name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()
            }
            found.setdefault(request.model_spec.signature_name, inputs)
    return found
