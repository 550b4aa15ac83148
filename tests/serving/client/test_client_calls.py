"""Both clients against a server, for callers' usual kinds of data."""

import asyncio

import grpc
import numpy as np
import pandas as pd
import pytest

from cmml_tf.client import (
    AsyncClient,
    Client,
    ContextCache,
    InputError,
    StaleContextError,
)

USERS, ITEMS, LABELS = ["u1", "u2", "u3"], ["i1", "i2", "i3"], [1.0, 0.0, 1.0]
QUERY_USERS, QUERY_ITEMS = ["u7", "u7"], ["i8", "i9"]
TASK = (USERS, ITEMS, LABELS, QUERY_USERS, QUERY_ITEMS)


@pytest.fixture(scope="module")
def client(contract_server):
    with Client(contract_server.address, "cmml", timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def numbers(contract_server):
    with Client(contract_server.address, "numbers", timeout=20) as client:
        yield client


def test_one_task_is_answered_by_flat_arrays(client):
    answer = client.score(*TASK)
    assert answer.score.shape == (2,)
    assert answer.score.dtype == np.float32
    assert answer.query_known.tolist() == [True, True]
    assert answer.version == 2


@pytest.mark.parametrize("convert", [np.array, pd.Series, tuple, lambda x: np.array(x, object)])
def test_lists_arrays_and_pandas_columns_mean_the_same(client, convert):
    expected = client.score(*TASK).score
    answer = client.score(*(convert(values) for values in TASK))
    np.testing.assert_array_equal(answer.score, expected)


def test_integer_ids_and_labels_are_converted(numbers):
    frame = pd.DataFrame({"user": [1, 2], "item": [3, 4], "label": [1, 0]})
    small = numbers.score(frame.user, frame.item, frame.label, [5], [6])
    wide = numbers.score(
        np.array([1, 2], np.int32), np.array([3, 4], np.uint8), [True, False], (5,), np.array([6])
    )
    np.testing.assert_array_equal(small.score, wide.score)
    assert small.query_known.tolist() == [True]


def test_ragged_tasks_score_as_each_alone(client):
    tasks = [
        (["u1"], ["i1"], [1.0], ["u1", "u2", "u3"], ["i1", "i2", "i3"]),
        (["u4", "u5"], ["i4", "i5"], [0.0, 3.0], ["u9"], ["i9"]),
        ([], [], [], [], []),
    ]
    together = client.score(*zip(*tasks, strict=True))
    assert [len(score) for score in together.score] == [3, 1, 0]
    for task, score, known in zip(tasks, together.score, together.query_known, strict=True):
        alone = client.score(*task)
        np.testing.assert_array_equal(score, alone.score)
        np.testing.assert_array_equal(known, alone.query_known)


def test_one_user_id_stands_for_many_items(client, numbers):
    users = ["u1"] * 3
    expected = client.score(users, ITEMS, LABELS, QUERY_USERS, QUERY_ITEMS).score
    np.testing.assert_array_equal(
        client.score("u1", ITEMS, LABELS, "u7", QUERY_ITEMS).score, expected
    )
    frame = pd.DataFrame({"item": ITEMS, "label": LABELS})
    np.testing.assert_array_equal(
        client.score(b"u1", frame["item"], frame["label"], np.str_("u7"), QUERY_ITEMS).score,
        expected,
    )
    # Of several tasks: one id for all, or one for each.
    items, labels, queries = [ITEMS, ITEMS[:1]], [LABELS, LABELS[:1]], [QUERY_ITEMS, ITEMS]
    whole = client.score(
        [["u1"] * 3, ["u2"]], items, labels, [["u7"] * 2, ["u7"] * 3], queries
    ).score
    short = client.score(["u1", "u2"], items, labels, "u7", queries).score
    for one, other in zip(whole, short, strict=True):
        np.testing.assert_array_equal(one, other)
    whole = numbers.score([1, 1], [2, 3], [1, 0], [4, 4, 4], [5, 6, 7]).score
    short = numbers.score(1, [2, 3], [1, 0], np.int32(4), np.array([5, 6, 7])).score
    np.testing.assert_array_equal(whole, short)
    assert numbers.score(1, [], [], 4, []).score.tolist() == []
    with pytest.raises(InputError, match="`support_user_id` as a flat sequence must hold one id"):
        client.score(["u1", "u2", "u3"], items, labels, "u7", queries)


def test_support_length_leaves_later_pairs_out(client):
    short = client.score(*(values[:2] for values in TASK[:3]), *TASK[3:])
    cut = client.score(*TASK, support_length=2)
    np.testing.assert_array_equal(cut.score, short.score)


def test_contexts_are_encoded_once_and_scored_often(client):
    contexts = client.encode_context(USERS, ITEMS, LABELS)
    assert contexts.context.shape == (1, 4)
    assert contexts.support_known.tolist() == [3]
    np.testing.assert_array_equal(
        client.score_with_context(contexts, QUERY_USERS, QUERY_ITEMS).score,
        client.score(*TASK).score,
    )


def test_a_context_of_a_version_that_is_gone_says_so(client):
    contexts = client.encode_context(USERS, ITEMS, LABELS)._replace(version=9)
    with pytest.raises(StaleContextError, match="Version 9"):
        client.score_with_context(contexts, QUERY_USERS, QUERY_ITEMS)


def test_recommend_gives_items_best_first(client, numbers):
    answer = client.recommend(USERS, ITEMS, LABELS, "u1")
    assert all(isinstance(item, str) and item.startswith("i") for item in answer.item_id)
    assert np.all(np.diff(answer.score) <= 0)
    two = client.recommend([USERS, []], [ITEMS, []], [LABELS, []], ["u1", "u2"])
    assert [len(items) for items in two.item_id] == [3, 3]
    np.testing.assert_array_equal(two.score[0], answer.score)
    assert numbers.recommend([1], [2], [1.0], 3).item_id.dtype == np.int64


def test_explain_tells_what_modulated_the_scores(client):
    answer = client.explain(*TASK)
    np.testing.assert_array_equal(answer.score, client.score(*TASK).score)
    assert set(answer.details) == {"context", "scale_0", "shift_0"}
    assert answer.details["context"].shape == (4,)
    assert answer.details["scale_0"].shape == (2, 4)
    ragged = client.explain(*([values, values[:1]] for values in TASK))
    assert [len(scale) for scale in ragged.details["scale_0"]] == [2, 1]
    assert [len(context) for context in ragged.details["context"]] == [4, 4]


def test_a_version_or_label_can_be_fixed(contract_server):
    for choice, version in (
        ({"version": 1}, 1),
        ({"label": "stable"}, 1),
        ({"label": "canary"}, 2),
    ):
        for cache in (None, ContextCache()):
            with Client(
                contract_server.address, "cmml", timeout=20, context_cache=cache, **choice
            ) as client:
                for _ in range(2):
                    answer = client.score(*TASK)
                    assert answer.version == version
                    assert np.all(np.floor(answer.score) == version)


@pytest.mark.parametrize(
    ("position", "value", "name"),
    [
        (0, [1, 2, 3], "support_user_id"),
        (1, ["i1", "i2"], "support_item_id"),
        (1, "i1", "support_item_id"),
        (2, ["a", "b", "c"], "support_label"),
        (2, [1.0, np.nan, 0.0], "support_label"),
        (2, np.float32([-np.inf, np.inf, 0.0]), "support_label"),
        (3, [["u7", "u7"]], "query_user_id"),
        (3, None, "query_user_id"),
        (4, ["i8", ["i9"]], "query_item_id"),
        (4, np.zeros((1, 1, 1)), "query_item_id"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_is_sent(client, position, value, name):
    arguments = list(TASK)
    arguments[position] = value
    with pytest.raises(InputError, match=f"`{name}`"):
        client.score(*arguments)


@pytest.mark.parametrize("length", [4, -1, [1, 2], 1.5])
def test_a_wrong_support_length_is_named(client, length):
    with pytest.raises(InputError, match="`support_length`"):
        client.score(*TASK, support_length=length)


def test_text_ids_for_a_model_of_numbers_are_named(numbers):
    with pytest.raises(InputError, match="`support_user_id` must hold int64"):
        numbers.score(*TASK)


def test_a_model_that_is_not_served_is_not_found(contract_server):
    with Client(contract_server.address, "unheard_of") as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.score(*TASK)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        with pytest.raises(TimeoutError, match="NOT_FOUND"):
            client.wait_until_ready(timeout=0.3)


def test_nobody_listening_is_unavailable_within_the_deadline():
    with Client("127.0.0.1:1", "cmml", timeout=0.5) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.score(*TASK)
        assert caught.value.code() in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        )


def test_a_cache_skips_the_encoder_for_known_supports(contract_server, client):
    cache = ContextCache()
    with Client(contract_server.address, "cmml", timeout=20, context_cache=cache) as cached:
        for _ in range(3):
            answer = cached.score(*TASK)
            np.testing.assert_allclose(answer.score, client.score(*TASK).score, rtol=1e-6)
        assert (cache.hits, len(cache)) == (2, 1)
        cached.score(USERS, ITEMS, [0.0, 0.0, 1.0], QUERY_USERS, QUERY_ITEMS)
        assert len(cache) == 2
        batch = cached.score(
            [USERS, ["u9"]], [ITEMS, ["i9"]], [LABELS, [1.0]], [["u7"], ["u8"]], [["i8"], ["i9"]]
        )
        assert (cache.hits, len(cache)) == (3, 3)
        alone = client.score(["u9"], ["i9"], [1.0], ["u8"], ["i9"])
        np.testing.assert_allclose(batch.score[1], alone.score, rtol=1e-6)


def test_the_asyncio_client_gives_the_same_answers(contract_server, client):
    async def ask():
        async with AsyncClient(
            contract_server.address, "cmml", timeout=20, context_cache=ContextCache()
        ) as asynchronous:
            await asynchronous.wait_until_ready()
            contexts = await asynchronous.encode_context(USERS, ITEMS, LABELS)
            scores = await asyncio.gather(*(asynchronous.score(*TASK) for _ in range(5)))
            return (
                scores,
                await asynchronous.score_with_context(contexts, QUERY_USERS, QUERY_ITEMS),
                await asynchronous.recommend(USERS, ITEMS, LABELS, "u1"),
                await asynchronous.explain(*TASK),
            )

    scores, with_context, recommended, explained = asyncio.run(ask())
    expected = client.score(*TASK).score
    for answer in (*scores, with_context, explained):
        np.testing.assert_allclose(answer.score, expected, rtol=1e-6)
    assert recommended.item_id.tolist() == client.recommend(*TASK[:3], "u1").item_id.tolist()


def test_asyncio_errors_are_the_same(contract_server):
    async def ask():
        async with AsyncClient(contract_server.address, "cmml", timeout=20) as asynchronous:
            with pytest.raises(InputError, match="`support_label`"):
                await asynchronous.score(USERS, ITEMS, ["x"] * 3, QUERY_USERS, QUERY_ITEMS)
            stale = (await asynchronous.encode_context(*TASK[:3]))._replace(version=9)
            with pytest.raises(StaleContextError):
                await asynchronous.score_with_context(stale, QUERY_USERS, QUERY_ITEMS)

    asyncio.run(ask())
