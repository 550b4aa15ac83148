"""Limits of time and number, and the UNIX socket, on a real server of their own."""

import json
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import prediction_service_pb2_grpc

Code = grpc.StatusCode
QUICK = {"steps": np.array([1], np.int32)}
TIMEOUT_MS = 300
ONE_THREAD_S_QUEUE = 257


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
        "--grpc_max_threads=1",
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
    assert "eadline" in answer["error"]
    assert post(server, 1)[0] == 200


def test_the_unix_socket_answers_as_the_port_does(server, socket_path, build_predict_request):
    request = build_predict_request("cmml", QUICK, "slow")
    with grpc.insecure_channel(f"unix:{socket_path}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert stub.Predict(request, timeout=20) == server.prediction.Predict(request, timeout=20)


def test_requests_beyond_what_may_queue_are_refused_and_the_rest_answered(
    server, is_real_server, tmp_path, build_predict_request
):
    if is_real_server:
        pytest.skip("TensorFlow Serving queues without an end")
    opened = tmp_path / "opened"
    path = np.array([str(opened)], object)
    request = build_predict_request("cmml", {"path": path}, "wait")
    calls = [server.prediction.Predict.future(request, timeout=120) for _ in range(300)]
    refused = 300 - ONE_THREAD_S_QUEUE
    while sum(call.done() for call in calls) < refused:
        assert server.process.poll() is None
    opened.touch()
    codes = [call.code() for call in calls]
    assert codes.count(Code.RESOURCE_EXHAUSTED) == refused
    assert codes.count(Code.OK) == ONE_THREAD_S_QUEUE
