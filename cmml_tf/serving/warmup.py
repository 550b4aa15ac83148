"""Requests that a server replays before a version takes traffic.

TensorFlow Serving reads them from `assets.extra/tf_serving_warmup_requests`, a TFRecord file of
`PredictionLog`, at most 1,000.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.vocabulary import Vocabulary

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
# (B, S, Q): one user's 100 candidates after the usual support set, a single pair, and a batch.
_USUAL_SHAPES = ((1, 192, 100), (1, 1, 1), (8, 192, 100))


def write_warmup_requests(
    folder: Path,
    graph: ServingGraph,
    users: Vocabulary,
    items: Vocabulary,
    signatures: Mapping[str, Any],
) -> None:
    """Writes a request of every usual shape for every signature, with ids of the vocabulary."""
    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in _requests(graph, users, items, signatures):
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def _requests(
    graph: ServingGraph, users: Vocabulary, items: Vocabulary, signatures: Mapping[str, Any]
) -> Iterator[predict_pb2.PredictRequest]:
    for B, S, Q in _USUAL_SHAPES:
        values = {
            "support_user_id": _ids(users, (B, S)),
            "support_item_id": _ids(items, (B, S)),
            "support_label": np.resize(np.float32([1, 0, 0]), (B, S)),
            "support_length": np.full([B], S, np.int32),
            "query_user_id": _ids(users, (B, Q)),
            "query_item_id": _ids(items, (B, Q)),
            "context": np.zeros([B, graph.context_dimension], np.float32),
        }
        for name, function in signatures.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = name
            for key in function.structured_input_signature[1]:
                request.inputs[key].CopyFrom(tf.make_tensor_proto(values[key]))
            yield request


def _ids(vocabulary: Vocabulary, shape: tuple[int, int]) -> np.ndarray:
    """The first ids of a vocabulary, repeated until they fill the shape."""
    lines = vocabulary.lines[: shape[0] * shape[1]]
    ids = np.array(lines, object) if vocabulary.dtype == tf.string else np.array(lines, np.int64)
    return np.resize(ids, shape)
