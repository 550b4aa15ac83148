"""What the client makes of tasks and requests that the model refuses."""

import asyncio

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tiny_model import VERSION_FILE
from valid_model import ValidModel

from cmml_tf.client import AsyncClient, Client, ContextCache, InputError

USERS, ITEMS = [["u1", "u2"]] * 4, [["i1", "i2"]] * 4
LABELS = [[1.0, 0.0]] * 4
QUERY = ([["u7"]] * 4, [["i8"]] * 4)
OFF_SCALE = [[1.0, 0.0], [0.0, 7.5], [1.0, 1.0], [-1.0, 0.0]]


@pytest.fixture(scope="module")
def server(start_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("valid")
    (folder / VERSION_FILE).write_text("1\n")
    model = ValidModel(folder / VERSION_FILE, tf.string)
    tf.saved_model.save(model, str(folder / "cmml" / "1"), signatures=model.signatures())
    return start_server(folder / "cmml")


@pytest.fixture(scope="module")
def client(server):
    with Client(server.address, "cmml", timeout=20) as client:
        yield client


@pytest.mark.parametrize("method", ["score", "explain", "encode_context", "recommend"])
def test_tasks_that_the_model_refuses_are_named(client, method):
    rest = {"score": QUERY, "explain": QUERY, "recommend": (["u1"] * 4,)}.get(method, ())
    with pytest.raises(InputError, match=r"refuses tasks 1, 3 .*`support_label`") as one:
        getattr(client, method)(USERS, ITEMS, OFF_SCALE, *rest)
    assert one.value.tasks == (1, 3)
    assert "Received in task 1: support_label=[0.0, 7.5], support_length=2" in str(one.value)
    good = [0, 2]
    kept = [[values[task] for task in good] for values in (USERS, ITEMS, OFF_SCALE)]
    getattr(client, method)(*kept, *([values[0]] * 2 for values in rest))


def test_a_lone_task_gets_the_model_s_own_sentence(client):
    with pytest.raises(InputError, match=r"refuses the request.*`support_label` must lie") as one:
        client.score(["u1"], ["i1"], [7.5], ["u7"], ["i8"])
    assert one.value.tasks == ()
    assert isinstance(one.value.__cause__, grpc.RpcError)
    assert "{{node" not in str(one.value)


def test_tasks_keep_their_numbers_behind_a_cache_that_has_some(server):
    cache = ContextCache()
    with Client(server.address, "cmml", timeout=20, context_cache=cache) as client:
        client.score(USERS[:1], ITEMS[:1], LABELS[:1], *(values[:1] for values in QUERY))
        with pytest.raises(InputError) as one:
            client.score(USERS, ITEMS, OFF_SCALE, *QUERY)
        assert one.value.tasks == (1, 3)
        assert len(cache) == 1  # nothing of a refused answer is kept
        assert np.isfinite(client.score(USERS, ITEMS, LABELS, *QUERY).score).all()


def test_the_asyncio_client_says_the_same(server):
    async def ask():
        async with AsyncClient(server.address, "cmml", timeout=20) as client:
            await client.score(USERS, ITEMS, OFF_SCALE, *QUERY)

    with pytest.raises(InputError) as one:
        asyncio.run(ask())
    assert one.value.tasks == (1, 3)


def test_what_the_client_sees_itself_is_named_by_task_too(client):
    for bad in (np.nan, np.inf, 1e39):  # the last is infinite as the float32 that is sent
        labels = [[1.0, 0.0], [0.0, bad], [1.0, 1.0], [bad, 0.0]]
        with pytest.raises(InputError, match="tasks 1, 3") as one:
            client.score(USERS, ITEMS, labels, *QUERY)
        assert one.value.tasks == (1, 3)
    with pytest.raises(InputError, match=r"`support_length`.*task 2") as one:
        client.score(USERS, ITEMS, LABELS, *QUERY, support_length=[2, 0, 3, 1])
    assert one.value.tasks == (2,)
    contexts = client.encode_context(USERS, ITEMS, LABELS)
    damaged = contexts.context.copy()
    damaged[3, 0] = np.nan
    with pytest.raises(InputError, match=r"`context` must be finite.*task 3") as one:
        client.score_with_context(contexts._replace(context=damaged), *QUERY)
    assert one.value.tasks == (3,)
