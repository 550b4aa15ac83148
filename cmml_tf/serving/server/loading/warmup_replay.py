"""Replays the requests recorded beside a version before it takes traffic."""

import os

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from cmml_tf.serving.server.classify_regress import classify, multi_inference, regress
from cmml_tf.serving.server.loading.servable import Servable
from cmml_tf.serving.server.predict import Answering, predict
from cmml_tf.serving.server.status import Code, ServingError, invalid_argument

WARMUP_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000


def replay(servable: Servable, path: str, answering: Answering, iterations: int = 1) -> int:
    """Sends every recorded request to `servable`; returns how many there were.

    Raises:
      ServingError: A damaged file, more than 1,000 records, or a request that fails: the version
        is then not served.
    """
    file = os.path.join(path, WARMUP_FILE)
    if not os.path.exists(file):
        return 0
    try:
        records = list(tf.data.TFRecordDataset(file).take(MAX_RECORDS + 1).as_numpy_iterator())
    except tf.errors.DataLossError as error:
        raise ServingError(Code.DATA_LOSS, f"Failed to read warmup file {file}") from error
    if len(records) > MAX_RECORDS:
        raise invalid_argument(
            f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {file}"
        )
    for record in records:
        try:
            log = prediction_log_pb2.PredictionLog.FromString(record)
        except DecodeError as error:
            raise invalid_argument(f"Failed to parse warmup record at {file}") from error
        for _ in range(iterations):
            _send(servable, log, answering)
    return len(records)


def _send(servable: Servable, log: prediction_log_pb2.PredictionLog, answering: Answering) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        predict(servable, log.predict_log.request, answering)
    elif kind == "regress_log":
        regress(servable, log.regress_log.request, answering)
    elif kind == "classify_log":
        classify(servable, log.classify_log.request, answering)
    elif kind == "multi_inference_log":
        multi_inference(servable, log.multi_inference_log.request, answering)
    else:
        raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind or 'none'}")
