"""Requests recorded beside a version are replayed before it is served."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from cmml_tf.serving.server.end_signal import EndSignal
from cmml_tf.serving.server.flags import parse_flags
from cmml_tf.serving.server.lifecycle import DevelopmentServer
from cmml_tf.serving.server.loading.servable import Servable
from cmml_tf.serving.server.loading.warmup_replay import MAX_RECORDS, replay
from cmml_tf.serving.server.predict import Answering
from cmml_tf.serving.server.status import Code, ServingError


@pytest.fixture(scope="module")
def servable(tiny_model, tmp_path_factory):
    path = tiny_model(tmp_path_factory.mktemp("warm"), 1)
    return Servable("cmml", 1, str(path), ["serve"])


def record(path, *logs):
    (path / "assets.extra").mkdir()
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(file)) as writer:
        for log in logs:
            writer.write(log if isinstance(log, bytes) else log.SerializeToString())
    return file


@pytest.fixture
def predict_log(build_predict_request, support_inputs, query_inputs):
    def build(**changes):
        request = build_predict_request("cmml", support_inputs() | query_inputs() | changes)
        return prediction_log_pb2.PredictionLog(
            predict_log=prediction_log_pb2.PredictLog(request=request)
        )

    return build


def regress_log(examples=1):
    log = prediction_log_pb2.PredictionLog()
    log.regress_log.request.model_spec.name = "cmml"
    log.regress_log.request.model_spec.signature_name = "serving_tf_example"
    for _ in range(examples):
        log.regress_log.request.input.example_list.examples.add()
    return log


def refusal(servable, path):
    with pytest.raises(ServingError) as caught:
        replay(servable, str(path), Answering())
    return caught.value.code


def test_all_kinds_of_requests_are_replayed(servable, predict_log, tmp_path):
    assert replay(servable, str(tmp_path), Answering()) == 0
    record(tmp_path, predict_log(), regress_log())
    assert replay(servable, str(tmp_path), Answering(), iterations=2) == 2


def test_a_request_that_fails_keeps_the_version_from_being_served(servable, predict_log, tmp_path):
    record(tmp_path, predict_log(support_length=np.array([9], np.int32)))
    assert refusal(servable, tmp_path) == Code.INVALID_ARGUMENT


BATCHES_OF_32 = "max_batch_size { value: 32 }"
SPLIT = (
    "max_batch_size { value: 128 } enable_large_batch_splitting { value: true } "
    "max_execution_batch_size { value: 32 }"
)


@pytest.fixture
def server(tiny_model, tmp_path):
    """`server(batching)`: with a warm-up Regress of 100 Examples, not started."""
    version = tiny_model(tmp_path / "models", 1)
    (version / "assets.extra" / "tf_serving_warmup_requests").unlink()
    (version / "assets.extra").rmdir()
    record(version, regress_log(100))

    def build(batching):
        (tmp_path / "batching.config").write_text(batching)
        arguments = [f"--model_base_path={tmp_path / 'models'}", "--port=0"]
        arguments += [f"--grpc_socket_path={tmp_path / 'socket'}", "--max_num_load_retries=0"]
        arguments += ["--enable_batching", f"--batching_parameters_file={tmp_path}/batching.config"]
        return DevelopmentServer(parse_flags(arguments))

    return build


def test_a_warmup_larger_than_a_batch_keeps_the_server_from_starting(server):
    with pytest.raises(ServingError, match="did not become available") as caught:
        server(BATCHES_OF_32).start(EndSignal())
    assert "Task size 100 is larger than maximum input batch size 32" in caught.value.message


def test_a_warmup_larger_than_an_execution_is_split(server):
    started = server(SPLIT)
    started.start(EndSignal())
    started.stop()


def test_a_damaged_file_is_data_loss(servable, predict_log, tmp_path):
    file = record(tmp_path, predict_log())
    file.write_bytes(file.read_bytes()[:-3])
    assert refusal(servable, tmp_path) == Code.DATA_LOSS


def test_records_that_are_no_requests_are_refused(servable, tmp_path):
    record(tmp_path, b"\xff\xff\xff")
    assert refusal(servable, tmp_path) == Code.INVALID_ARGUMENT


def test_an_empty_record_is_unimplemented(servable, tmp_path):
    record(tmp_path, prediction_log_pb2.PredictionLog())
    assert refusal(servable, tmp_path) == Code.UNIMPLEMENTED


def test_more_than_a_thousand_records_are_refused(servable, tmp_path):
    record(tmp_path, *[regress_log()] * (MAX_RECORDS + 1))
    assert refusal(servable, tmp_path) == Code.INVALID_ARGUMENT
