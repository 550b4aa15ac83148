"""`export/nginx.conf` before a server: asking passes, what is too large or not allowed does not."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from cmml_tf.client import Client

NGINX = shutil.which("nginx")
CONFIG = Path(__file__).parents[3] / "export" / "nginx.conf"
TOKEN = [("authorization", "Bearer a-long-random-text")]
LIMIT = 4 * 1024 * 1024
TASK = (["u1"], ["i1"], [1.0], ["u7"], ["i8"])

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def start_proxy(tmp_path_factory):
    """`start_proxy(server address)`: the shipped file with other paths and ports."""
    running = []

    def start(upstream):
        folder = tmp_path_factory.mktemp("nginx")
        port = free_port()
        (folder / "tokens").write_text('"Bearer a-long-random-text" 1;\n')
        text = changed(CONFIG.read_text(), " /tmp/", f" {folder}/")
        text = changed(text, "listen 8600 http2;", f"listen 127.0.0.1:{port} http2;")
        text = changed(text, "server 127.0.0.1:8500;", f"server {upstream};")
        text = changed(text, "include /etc/nginx/cmml-tokens;", f"include {folder}/tokens;")
        (folder / "nginx.conf").write_text(text)
        command = [NGINX, "-e", "stderr", "-c", folder / "nginx.conf", "-g", "daemon off;"]
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(command, stderr=log)
        running.append(process)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            ready = grpc.channel_ready_future(channel)
            while not ready.done():
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
        return f"127.0.0.1:{port}"

    yield start
    for process in running:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def address(start_proxy, contract_server):
    return start_proxy(contract_server.address)


@pytest.fixture(scope="module")
def channel(address):
    with grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)]) as channel:
        yield channel


def refusal(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=30, **options)
    return caught.value.code(), caught.value.details()


def test_the_client_gets_the_same_answers_through_the_proxy(address, contract_server):
    with (
        Client(contract_server.address, "cmml", timeout=20) as direct,
        Client(address, "cmml", timeout=20, metadata=TOKEN) as client,
    ):
        client.wait_until_ready(20)
        for ask in ("score", "explain"):
            expected = getattr(direct, ask)(*TASK).score
            np.testing.assert_array_equal(getattr(client, ask)(*TASK).score, expected)


def test_a_request_up_to_the_limit_passes_and_one_beyond_is_refused(channel, build_predict_request):
    predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict

    def request(size):
        request = build_predict_request("cmml", {"stray": np.array([b""], object)})
        request.inputs["stray"].string_val[0] = b"x" * (size - request.ByteSize() - 8)
        return request

    # What passes is refused by the server, which knows no such input.
    code, details = refusal(predict, request(LIMIT - 1024), metadata=TOKEN)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "stray" in details
    for size in (LIMIT + 1024, 8 * LIMIT):
        code, details = refusal(predict, request(size), metadata=TOKEN)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max (4 MiB)" in details


def test_the_client_does_not_repeat_what_is_too_large(address):
    ids = [f"u{position}" for position in range(500_000)]
    with Client(address, "cmml", timeout=60, metadata=TOKEN) as client:
        client.score(*TASK)
        with pytest.raises(grpc.RpcError) as caught:
            client.score(*TASK[:3], ids, ids)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("metadata", [None, [("authorization", "Bearer guessed")]])
def test_without_a_token_nothing_passes(channel, build_predict_request, metadata):
    predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
    code, details = refusal(predict, build_predict_request("cmml", {}), metadata=metadata)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert "authorization" in details


def test_calls_that_change_the_server_do_not_pass(channel):
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    request = model_management_pb2.ReloadConfigRequest()
    code, _ = refusal(models.HandleReloadConfigRequest, request, metadata=TOKEN)
    assert code is grpc.StatusCode.UNIMPLEMENTED


def test_a_server_that_is_away_is_unavailable(start_proxy):
    with Client(
        start_proxy(f"127.0.0.1:{free_port()}"), "cmml", metadata=TOKEN, timeout=20, max_attempts=1
    ) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.score(*TASK)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
