"""Requests no caller should send: every one is answered, none harms the server."""

import contextlib
import http.client
import json

import grpc
import numpy as np
import pytest
from odd_requests import ANSWERS, Sender, fuzz, mutated
from tensorflow.core.framework import types_pb2

CONTEXT_WIDTH = 4
SMALL, LARGE = 300, 10_000


@pytest.fixture
def send(contract_server):
    return Sender(contract_server)


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@pytest.fixture
def unharmed(contract_server, support_inputs, query_inputs):
    """After the test the server answers as before, and has said and kept little."""
    before = resident_bytes(contract_server)
    yield contract_server
    assert contract_server.process.poll() is None
    answer = contract_server.predict(support_inputs() | query_inputs())
    assert np.all(np.floor(answer.outputs["score"]) == 2)
    assert "Traceback" not in contract_server.log()
    assert resident_bytes(contract_server) - before < 2e9


def honest_requests(build_predict_request, support_inputs, query_inputs):
    """gRPC messages, and the same as JSON bodies."""
    support, query = support_inputs(B=2), query_inputs(B=2)
    cases = [("", support | query), ("encode_context", support)]
    messages = [
        build_predict_request("cmml", inputs, signature).SerializeToString()
        for signature, inputs in cases
    ]
    bodies = [
        json.dumps(
            {"signature_name": name or "serving_default"}
            | {"inputs": {key: value.tolist() for key, value in inputs.items()}}
        ).encode()
        for name, inputs in cases
    ]
    example = {"signature_name": "serving_tf_example", "examples": [{"value": [1.5]}, {}]}
    return messages, [*bodies, json.dumps(example).encode()]


def send_mutated_messages(send, messages, count):
    rng = np.random.default_rng(0)
    for position in range(count):
        answer = send(mutated(rng, messages[position % len(messages)]))
        assert hasattr(answer, "outputs") or answer in ANSWERS, answer


def send_mutated_bodies(server, bodies, count, is_real_server):
    rng = np.random.default_rng(1)
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    for position in range(count):
        body = mutated(rng, bodies[position % len(bodies)])
        method = "regress" if b"examples" in body else "predict"
        connection.request("POST", f"/v1/models/cmml:{method}", body)
        response = connection.getresponse()
        content = response.read()
        assert response.status in (200, 400, 404, 429), (response.status, body)
        # TensorFlow Serving quotes bytes that are no text.
        assert is_real_server or len(json.loads(content)) == 1
    connection.close()


def send_mutated_heads(server, count):
    """Whole HTTP requests, which may not be answered where no request can be seen."""
    rng = np.random.default_rng(2)
    body = b'{"signature_name": "serving_tf_example", "instances": [{"b64": ""}]}'
    head = b"POST /v1/models/cmml:predict HTTP/1.1\r\nHost: h\r\nContent-Length: 68\r\n\r\n"
    assert len(body) == 68
    for _ in range(count):
        # TensorFlow Serving may close the connection before all has been sent.
        with server.connection() as connection, contextlib.suppress(OSError):
            connection.sendall(mutated(rng, head) + body)
            connection.shutdown(1)
            while connection.recv(65536):
                pass


def test_three_hundred_odd_requests_harm_nothing(unharmed, send):
    fuzz(send, SMALL, CONTEXT_WIDTH)
    assert send.counts["OK"] > 20


@pytest.mark.slow
def test_ten_thousand_odd_requests_harm_nothing(unharmed, send):
    fuzz(send, LARGE, CONTEXT_WIDTH)


@pytest.mark.parametrize("count", [SMALL, pytest.param(LARGE, marks=pytest.mark.slow)])
def test_mutated_requests_harm_nothing(
    unharmed, send, is_real_server, build_predict_request, support_inputs, query_inputs, count
):
    messages, bodies = honest_requests(build_predict_request, support_inputs, query_inputs)
    send_mutated_messages(send, messages, count)
    send_mutated_bodies(unharmed, bodies, count, is_real_server)
    send_mutated_heads(unharmed, count // 10)


@pytest.mark.parametrize("size", [0, 1, 100, 100_000])
def test_bytes_that_are_no_request_are_refused(send, size):
    noise = np.random.default_rng(size).bytes(size)
    assert send(noise) in ANSWERS


def test_resources_are_refused(unharmed, send, is_real_server, build_predict_request):
    if is_real_server:
        pytest.skip("two of them end TensorFlow Serving")
    request = build_predict_request("cmml", {"inputs": np.array([b"", b""], object)}, "")
    request.inputs["inputs"].dtype = types_pb2.DT_RESOURCE
    assert send(request.SerializeToString()) == grpc.StatusCode.INVALID_ARGUMENT


def test_small_documents_cannot_claim_gigabytes(unharmed, is_real_server):
    if is_real_server:
        pytest.skip("TensorFlow Serving parses what fits its memory")
    connection = http.client.HTTPConnection("127.0.0.1", unharmed.rest_port, timeout=60)
    connection.request("POST", "/v1/models/cmml:predict", b'{"inputs": [' + b"[]," * 10_000_000)
    assert connection.getresponse().status == 429
    connection.close()
