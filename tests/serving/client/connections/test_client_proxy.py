"""Proxies of the environment: which calls they concern, and what the client says of them."""

import asyncio
import socket

import grpc
import pytest

from cmml_tf.client import AsyncClient, Client, ProxyError
from cmml_tf.client.transport.proxy import proxy_of

TASK = (["u1"], ["i1"], [1.0], ["u7"], ["i8"])
VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")


@pytest.fixture
def closed():
    """The address of a port at which nobody listens, for as long as the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def change(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return change


@pytest.mark.parametrize(
    ("variables", "target", "source"),
    [
        ({}, "127.0.0.1:1", None),
        ({"http_proxy": "http://PROXY"}, "127.0.0.1:1", "http_proxy"),
        ({"http_proxy": "http://PROXY"}, "localhost:1", "http_proxy"),
        ({"http_proxy": "http://PROXY"}, "dns:///localhost:1", "http_proxy"),
        ({"http_proxy": "http://PROXY"}, "ipv4:127.0.0.1:1", "http_proxy"),
        ({"http_proxy": "http://PROXY"}, "unix:/tmp/nobody", None),
        ({"http_proxy": "http://user:secret@PROXY"}, "localhost:1", "http_proxy"),
        ({"https_proxy": "http://PROXY", "http_proxy": ""}, "localhost:1", "https_proxy"),
        ({"grpc_proxy": "", "http_proxy": "http://PROXY"}, "127.0.0.1:1", None),
        ({"http_proxy": "https://PROXY"}, "127.0.0.1:1", None),
        ({"http_proxy": "PROXY"}, "127.0.0.1:1", None),
        ({"HTTP_PROXY": "http://PROXY"}, "127.0.0.1:1", None),
        ({"http_proxy": "http://PROXY", "no_proxy": "localhost"}, "127.0.0.1:1", "http_proxy"),
        ({"http_proxy": "http://PROXY", "no_proxy": "localhost"}, "localhost:1", None),
        ({"http_proxy": "http://PROXY", "no_proxy": "a, LocalHost"}, "localhost:1", None),
        ({"http_proxy": "http://PROXY", "no_proxy": ".0.0.1"}, "127.0.0.1:1", None),
        ({"http_proxy": "http://PROXY", "no_proxy": "0.0.1"}, "127.0.0.1:1", None),
        ({"http_proxy": "http://PROXY", "no_proxy": "127.0.0.0/8"}, "127.0.0.1:1", None),
        ({"http_proxy": "http://PROXY", "no_proxy": "10.0.0.0/8"}, "127.0.0.1:1", "http_proxy"),
        (
            {"http_proxy": "http://PROXY", "no_grpc_proxy": "x", "no_proxy": "localhost"},
            "localhost:1",
            "http_proxy",
        ),
    ],
)
def test_the_proxy_is_the_one_that_grpc_takes(environment, closed, variables, target, source):
    environment({name: value.replace("PROXY", closed) for name, value in variables.items()})
    found = proxy_of(target, [])
    assert (found and found.source) == source
    with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/any/Thing")(b"", timeout=10)
    # gRPC names the address that it could not connect to: the proxy's where there is one.
    assert (closed in caught.value.details()) is (source is not None)


@pytest.mark.parametrize(
    "options", [[("grpc.enable_http_proxy", 0)], [("grpc.http_proxy", "")]], ids=str
)
def test_options_of_the_channel_turn_it_off(environment, closed, contract_server, options):
    environment({"http_proxy": f"http://{closed}"})
    with Client(contract_server.address, "cmml", timeout=20, channel_options=options) as client:
        assert client.score(*TASK).version == 2


def test_a_failed_call_names_proxy_variable_and_remedy(environment, closed):
    environment({"http_proxy": f"http://user:secret@{closed}", "no_proxy": "internal"})
    with Client("localhost:1", "cmml", timeout=2) as client:
        with pytest.raises(ProxyError) as caught:
            client.score(*TASK)
        error = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        for words in (f"the proxy http://{closed}", "http_proxy", "localhost to no_proxy"):
            assert words in str(error)[:220]
            assert words in error.details()
        assert "('grpc.enable_http_proxy', 0)" in str(error)
        assert "secret" not in str(error)
        assert isinstance(error.__cause__, grpc.RpcError)
        with pytest.raises(TimeoutError, match=f"the proxy http://{closed}.*no_proxy"):
            client.wait_until_ready(0.3)


def test_the_asyncio_client_names_it_too(environment, closed):
    environment({"grpc_proxy": f"http://{closed}"})

    async def ask():
        async with AsyncClient("localhost:1", "cmml", timeout=2) as client:
            with pytest.raises(ProxyError, match="because grpc_proxy names it"):
                await client.score(*TASK)
            with pytest.raises(TimeoutError, match="because grpc_proxy names it"):
                await client.wait_until_ready(0.3)

    asyncio.run(ask())


def test_without_a_proxy_nothing_is_said_of_one(environment, closed):
    environment({"http_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"})
    with Client(closed, "cmml", timeout=2, max_attempts=1) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.score(*TASK)
        assert not isinstance(caught.value, ProxyError)
        with pytest.raises(TimeoutError) as late:
            client.wait_until_ready(0.2)
        assert "proxy" not in str(late.value)
