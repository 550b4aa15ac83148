"""`AsyncClient` where web applications make it: outside a loop, in threads, for several loops."""

import asyncio
import threading

import numpy as np
import pytest

from cmml_tf.client import AsyncClient, ContextCache

TASK = (["u1", "u2"], ["i1", "i2"], [1.0, 0.0], ["u7"], ["i8"])


@pytest.fixture
def client(contract_server):
    return AsyncClient(contract_server.address, "cmml", timeout=20)


async def ask(client):
    return (await client.score(*TASK)).score


def test_it_is_made_before_any_loop_and_used_by_one_after_another(client):
    first = asyncio.run(ask(client))
    np.testing.assert_array_equal(asyncio.run(ask(client)), first)

    async def end():
        scores = await ask(client)
        await client.close()
        return scores

    np.testing.assert_array_equal(asyncio.run(end()), first)


def in_thread(function):
    """What a function returns in a thread of its own, or the error it raises there."""
    results = []

    def run():
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001 - handed on
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


def test_it_is_made_in_a_thread_without_a_loop(contract_server, client):
    made = in_thread(lambda: AsyncClient(contract_server.address, "cmml", timeout=20))
    np.testing.assert_array_equal(asyncio.run(ask(made)), asyncio.run(ask(client)))


def test_loops_of_several_threads_use_it_at_the_same_time(contract_server):
    client = AsyncClient(contract_server.address, "cmml", timeout=20, context_cache=ContextCache())
    together, scores = threading.Barrier(3), []

    async def turns():
        together.wait()
        return [await ask(client) for _ in range(20)]

    threads = [
        threading.Thread(target=lambda: scores.extend(asyncio.run(turns()))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(scores) == 60
    assert np.ptp(scores) == 0


def test_close_ends_the_channel_of_a_loop_that_runs_elsewhere(client):
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(ask(client), loop).result(30)
        asyncio.run(client.close())
        late = asyncio.run_coroutine_threadsafe(ask(client), loop)
        with pytest.raises(ValueError, match="This AsyncClient is closed"):
            late.result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_closing_what_was_never_used_and_closing_twice_are_nothing(client):
    async def twice():
        await client.close()
        await client.close()

    asyncio.run(twice())
    with pytest.raises(ValueError, match="closed"):
        asyncio.run(client.wait_until_ready(1))
