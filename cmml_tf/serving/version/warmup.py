"""Requests that a server replays before a version takes traffic.

TensorFlow Serving reads them from `assets.extra/tf_serving_warmup_requests`, a TFRecord file of
`PredictionLog`, at most 1,000.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2, regression_pb2

from cmml_tf.request_limits import RequestLimits
from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.signatures import EXAMPLE_SIGNATURE
from cmml_tf.serving.vocabulary import Vocabulary

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
# (B, S, Q): one user's 100 candidates after the usual support set, a single pair, and a batch.
_USUAL_SHAPES = ((1, 192, 100), (1, 1, 1), (8, 192, 100))
# Servers with batching merge what is replayed, too, and refuse more rows than a batch may have. An
# Example is a row.
_MOST_ROWS = max(B for B, _, _ in _USUAL_SHAPES)
Features = Callable[[int, int, int], Mapping[str, np.ndarray]]
"""(B, S, Q) to values by input name."""


def write_warmup_requests(
    folder: Path,
    graph: ServingGraph,
    users: Vocabulary,
    items: Vocabulary,
    signatures: Mapping[str, Any],
    labels: Sequence[float] = (1, 0, 0),
    features: Mapping[str, Features] = MappingProxyType({}),
) -> None:
    """Writes a request of every usual shape for every signature, with ids of the vocabulary.

    Sizes for which the graph is compiled are among the shapes.

    Support labels are `labels`, again and again; `features[name](B, S, Q)` gives what inputs
    of the signature of this name are not ids, labels or a context.
    """
    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in _logs(graph, users, items, signatures, labels, features):
            writer.write(log.SerializeToString(deterministic=True))


def _logs(
    graph: ServingGraph,
    users: Vocabulary,
    items: Vocabulary,
    signatures: Mapping[str, Any],
    labels: Sequence[float],
    features: Mapping[str, Features],
) -> Iterator[prediction_log_pb2.PredictionLog]:
    sizes = [(one.tasks, one.support_pairs, one.query_pairs) for one in graph.compiled]
    for usual in dict.fromkeys((*_USUAL_SHAPES, *sizes)):
        limits, width = graph.limits, graph.context_width
        B, S, Q = map(min, usual, (limits.tasks, limits.support_pairs, limits.query_pairs))
        values = {
            "support_user_id": _ids(users, (B, S)),
            "support_item_id": _ids(items, (B, S)),
            "support_label": np.resize(np.array(labels, np.float32), (B, S)),
            "support_length": np.full([B], S, np.int32),
            "query_user_id": _ids(users, (B, Q)),
            "query_item_id": _ids(items, (B, Q)),
            "user_id": _ids(users, (B, 1))[:, 0],
            "context": np.zeros([B, width.task + width.pair * S], np.float32),
        }
        for name, function in signatures.items():
            log = prediction_log_pb2.PredictionLog()
            if name == EXAMPLE_SIGNATURE:
                log.regress_log.request.CopyFrom(_regression(values, limits))
            else:
                request = log.predict_log.request
                request.model_spec.signature_name = name
                own = features[name](B, S, Q) if name in features else {}
                for key in function.structured_input_signature[1]:
                    value = own[key] if key in own else values[key]
                    request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            yield log


def _regression(
    values: Mapping[str, np.ndarray], limits: RequestLimits
) -> regression_pb2.RegressionRequest:
    """The first task's support as context, and an Example for each of its first query items."""
    request = regression_pb2.RegressionRequest()
    request.model_spec.signature_name = EXAMPLE_SIGNATURE
    listed = request.input.example_list_with_context
    rows = min(_MOST_ROWS, limits.tasks)
    for name in ("support_user_id", "support_item_id", "support_label"):
        listed.context.features.feature[name].CopyFrom(_feature(values[name][0]))
    listed.context.features.feature["query_user_id"].CopyFrom(_feature(values["user_id"][:1]))
    for item in values["query_item_id"][0, :rows]:
        features = listed.examples.add().features
        features.feature["query_item_id"].CopyFrom(_feature(np.array([item])))
    return request


def _feature(values: np.ndarray) -> tf.train.Feature:
    if values.dtype == np.float32:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    if values.dtype == np.int64:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    texts = [text.encode() for text in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))


def _ids(vocabulary: Vocabulary, shape: tuple[int, int]) -> np.ndarray:
    """The first ids of a vocabulary, repeated until they fill the shape."""
    lines = vocabulary.lines[: shape[0] * shape[1]]
    ids = np.array(lines, object) if vocabulary.dtype == tf.string else np.array(lines, np.int64)
    return np.resize(ids, shape)
