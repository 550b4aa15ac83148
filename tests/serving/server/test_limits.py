"""Limits of time and number, and the UNIX socket, on a real server of its own."""

import json
import queue
import threading
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_service_pb2_grpc

Code = grpc.StatusCode
QUICK = {"steps": np.array([1], np.int32)}
TIMEOUT_MS = 300
THREADS = 4


@pytest.fixture(scope="module")
def socket_path(tmp_path_factory):
    return tmp_path_factory.mktemp("socket") / "grpc"


@pytest.fixture(scope="module")
def server(start_server, tiny_model, tmp_path_factory, socket_path):
    base_path = tmp_path_factory.mktemp("versions")
    tiny_model(base_path, 1)
    return start_server(
        base_path,
        f"--rest_api_timeout_in_ms={TIMEOUT_MS}",
        f"--grpc_socket_path={socket_path}",
        f"--grpc_max_threads={THREADS}",
    )


def post(server, steps):
    body = json.dumps({"signature_name": "slow", "inputs": {"steps": [steps]}}).encode()
    try:
        with urllib.request.urlopen(f"{server.url}:predict", body, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_rest_request_beyond_its_time_gets_504(server):
    status, answer = post(server, 5_000)
    assert status == 504
    assert answer["error"]
    assert post(server, 1)[0] == 200


def test_the_unix_socket_answers_as_the_port_does(server, socket_path, build_predict_request):
    request = build_predict_request("cmml", QUICK, "slow")
    with grpc.insecure_channel(f"unix:{socket_path}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert stub.Predict(request, timeout=20) == server.prediction.Predict(request, timeout=20)


def test_calls_beyond_the_threads_are_refused_and_not_queued(
    server, tmp_path, build_predict_request
):
    """One thread listens, so that one call less than threads is answered at a time."""
    opened = tmp_path / "opened"
    path = np.array([str(opened)], object)
    waiting = build_predict_request("cmml", {"path": path}, "wait")
    calls = [server.prediction.Predict.future(waiting, timeout=120) for _ in range(THREADS)]
    # Whichever comes last: the others do not end before the file is there.
    ended = queue.Queue()
    for call in calls:
        call.add_done_callback(ended.put)
    refused = ended.get(timeout=60)
    assert refused.code() == Code.RESOURCE_EXHAUSTED
    taken = [call for call in calls if call is not refused]
    assert not any(call.done() for call in taken)
    quick = build_predict_request("cmml", QUICK, "slow")
    one_more = server.prediction.Predict.future(quick, timeout=60)
    assert one_more.code() == Code.RESOURCE_EXHAUSTED
    opened.touch()
    assert [call.code() for call in taken] == [Code.OK] * (THREADS - 1)
    while server.prediction.Predict.future(quick, timeout=60).code() == Code.RESOURCE_EXHAUSTED:
        assert server.process.poll() is None


def test_calls_that_are_open_and_silent_lock_nobody_out(server, build_predict_request):
    """As many as Python's gRPC would give a thread each, for as long as they like."""
    silence = threading.Event()

    def say_nothing():
        silence.wait(60)
        yield from ()

    open_call = server.channel.stream_unary("/tensorflow.serving.PredictionService/Predict")
    calls = [open_call.future(say_nothing(), timeout=60) for _ in range(500)]
    try:
        request = build_predict_request("cmml", QUICK, "slow")
        code = Code.RESOURCE_EXHAUSTED
        while code == Code.RESOURCE_EXHAUSTED:  # for a second or so
            code = server.prediction.Predict.future(request, timeout=30).code()
        assert code == Code.OK
    finally:
        silence.set()
        for call in calls:
            call.cancel()


def test_a_message_beyond_64_mebibytes_is_taken_unless_a_limit_is_asked_for(server):
    ballast = tf.train.Feature(bytes_list=tf.train.BytesList(value=[bytes(2**26 + 1)]))
    example = tf.train.Example(features=tf.train.Features(feature={"ballast": ballast}))
    inputs = {"inputs": np.array([example.SerializeToString()], object)}
    answer = server.predict(inputs, "serving_tf_example", timeout=60)
    assert answer.outputs["outputs"].tolist() == [1.25]
