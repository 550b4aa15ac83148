"""Calls that a full server did not take are sent again, until the deadline."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from cmml_tf.client import AsyncClient, Client, InputError

TASK = (["u1"], ["i1"], [1.0], ["u7"], ["i8"])
MORE_THAN_GRPC_RETRIES = 7
FULL = "Server Threadpool Exhausted"


class Crowded(grpc.GenericRpcHandler):
    """Stands before a server and refuses the first calls of it."""

    def __init__(self, address, refusals, details):
        self.left, self.seen, self.details = refusals, 0, details
        self.channel = grpc.insecure_channel(address)

    def service(self, call):
        forward = self.channel.unary_unary(call.method)

        def answer(request, context):
            self.seen += 1
            if self.left > 0:
                self.left -= 1
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, self.details)
            return forward(request, timeout=20)

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def crowded(contract_server):
    with contextlib.ExitStack() as stack:

        def start(refusals, details=FULL):
            handler = Crowded(contract_server.address, refusals, details)
            server = grpc.server(ThreadPoolExecutor(1))
            server.add_generic_rpc_handlers([handler])
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            stack.callback(handler.channel.close)
            stack.callback(lambda: server.stop(None).wait())
            return handler, f"127.0.0.1:{port}"

        yield start


def test_a_full_server_is_asked_until_it_answers(crowded, contract_server):
    handler, address = crowded(MORE_THAN_GRPC_RETRIES)
    with Client(contract_server.address, "cmml", timeout=20) as direct:
        expected = direct.score(*TASK).score
    with Client(address, "cmml", timeout=20) as client:
        np.testing.assert_array_equal(client.score(*TASK).score, expected)
    assert handler.seen == MORE_THAN_GRPC_RETRIES + 2  # the signatures, then the scores


def test_the_asyncio_client_does_the_same(crowded):
    handler, address = crowded(MORE_THAN_GRPC_RETRIES)

    async def ask():
        async with AsyncClient(address, "cmml", timeout=20) as client:
            return await client.score(*TASK)

    assert asyncio.run(ask()).version == 2
    assert handler.seen == MORE_THAN_GRPC_RETRIES + 2


@pytest.mark.parametrize(
    ("details", "options"),
    [
        (FULL, {"max_attempts": 1}),
        ("Received message larger than max (5000000 vs. 4194304)", {}),
        ("OOM when allocating tensor with shape[1073741824]", {}),
    ],
)
def test_what_does_not_get_better_is_not_asked_again(crowded, details, options):
    handler, address = crowded(100, details)
    with Client(address, "cmml", timeout=20, **options) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.score(*TASK)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert handler.seen == 1


def test_a_server_that_stays_full_is_reported_as_full(crowded):
    handler, address = crowded(1000)
    with Client(address, "cmml", timeout=0.5) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.score(*TASK)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert handler.seen > 1


def test_waiting_outlasts_a_full_server(crowded):
    handler, address = crowded(3)
    with Client(address, "cmml") as client:
        client.wait_until_ready(20)
    assert handler.seen == 4


class Told:
    """An observer that remembers."""

    def __init__(self):
        self.tries, self.ends = [], []

    def tried_again(self, model, method):
        self.tries.append((model, method))

    def ended(self, call):
        self.ends.append(call)


class Failing:
    """An observer that fails, as with a full disk."""

    def tried_again(self, model, method):
        raise StopIteration(model, method)

    def ended(self, call):
        raise OSError(28, "No space left on device", call.method)


def test_an_observer_that_fails_is_logged_and_changes_nothing(crowded, contract_server, caplog):
    _, address = crowded(2)
    with Client(address, "cmml", timeout=20, observer=Failing()) as client:
        assert client.score(*TASK).version == 2
        with pytest.raises(InputError):
            client.score(["u1"], ["i1", "i2"], [1.0], "u7", ["i8"])
    assert [record.exc_info[0] for record in caplog.records] == [
        *(StopIteration, StopIteration, OSError, OSError)
    ]


def test_an_observer_is_told_of_further_tries_and_of_the_end(crowded):
    told = Told()
    _, address = crowded(3)
    with Client(address, "cmml", timeout=20, observer=told) as client:
        answer = client.score(*TASK)
    assert told.tries == [("cmml", "score")] * 3
    ((model, method, seconds, given, error),) = told.ends
    assert (model, method, given, error) == ("cmml", "score", answer, None)
    assert 0.03 < seconds < 20  # three pauses, the first of 10 ms or more


def test_an_observer_is_told_of_a_call_that_was_cancelled(crowded):
    told = Told()
    _, address = crowded(10_000)

    async def cancelled():
        async with AsyncClient(address, "cmml", timeout=20, observer=told) as client:
            call = asyncio.create_task(client.score(*TASK))
            while not told.tries:
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(cancelled())
    ((_, method, _, answer, error),) = told.ends
    assert (method, answer) == ("score", None)
    assert isinstance(error, GeneratorExit)
