"""Requests no caller should send: every one is answered, none harms the server."""

import numpy as np
import pytest
from odd_requests import ANSWERS, Sender, fuzz

CONTEXT_WIDTH = 4


@pytest.fixture
def send(contract_server):
    return Sender(contract_server)


def still_serving(server, support_inputs, query_inputs):
    assert server.process.poll() is None
    answer = server.predict(support_inputs() | query_inputs())
    assert np.all(np.floor(answer.outputs["score"]) == 2)


def test_three_hundred_odd_requests_harm_nothing(
    contract_server, send, support_inputs, query_inputs
):
    fuzz(send, 300, CONTEXT_WIDTH)
    assert send.counts["OK"] > 20
    still_serving(contract_server, support_inputs, query_inputs)


@pytest.mark.slow
def test_ten_thousand_odd_requests_harm_nothing(
    contract_server, send, support_inputs, query_inputs
):
    fuzz(send, 10_000, CONTEXT_WIDTH)
    still_serving(contract_server, support_inputs, query_inputs)


@pytest.mark.parametrize("size", [0, 1, 100, 100_000])
def test_bytes_that_are_no_request_are_refused(send, size):
    noise = np.random.default_rng(size).bytes(size)
    assert send(noise) in ANSWERS
