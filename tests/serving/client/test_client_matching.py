"""An export of a model that matches by key, asked through the client and a real server."""

import json
import threading
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from matching_cases import (
    ITEM_IDS,
    USER_IDS,
    expected_scores,
    keys_of,
    matching_model,
    request_of,
)
from serving_cases import call

from cmml_tf.client import Client, ContextCache, InputError
from cmml_tf.serving.export import export_model
from cmml_tf.serving.feed_forward import check_feed_forward
from cmml_tf.types import ContentColumn

NEW = ("new a", "new b")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model, content = matching_model()
    folder = tmp_path_factory.mktemp("export")
    return model, export_model(model, folder, USER_IDS, ITEM_IDS, content=content)


@pytest.fixture(scope="module")
def server(start_server, exported):
    base = exported[1].parent
    batching = base.parent / f"{base.name}.batching"
    batching.write_text(
        "max_batch_size { value: 32 } batch_timeout_micros { value: 0 } "
        "num_batch_threads { value: 1 } max_enqueued_batches { value: 100 } "
        "pad_variable_length_inputs: true"
    )
    return start_server(base, "--enable_batching=true", f"--batching_parameters_file={batching}")


@pytest.fixture(scope="module")
def client(server):
    with Client(server.address, "cmml", timeout=60) as client:
        yield client


def request_part(request, prefix):
    return {name: value for name, value in request.items() if name.startswith(prefix)}


def tasks_of(request):
    """Arguments of `Client.score`, each support cut to its length."""
    lengths = request["support_length"]
    cut = [
        [row[:n].tolist() for row, n in zip(request[name], lengths, strict=True)]
        for name in ("support_user_id", "support_item_id", "support_label")
    ]
    query = [request[name].tolist() for name in ("query_user_id", "query_item_id")]
    return [*cut, *query]


def test_the_client_s_scores_are_the_model_s_with_and_without_a_cache(client, server, exported):
    model, _ = exported
    # Contexts of different widths: encoded in two calls, scored in one.
    request = request_of(B=3, S=9) | {"support_length": np.int32([2, 9, 0])}
    expected = expected_scores(model, request)
    arguments = tasks_of(request)
    answer = client.score(*arguments)
    np.testing.assert_allclose(answer.score, expected, atol=1e-5)
    items = np.isin(request["query_item_id"], ITEM_IDS)
    np.testing.assert_array_equal(answer.item_known, items)
    users = np.isin(request["query_user_id"], USER_IDS)
    np.testing.assert_array_equal(answer.user_known, users)
    np.testing.assert_array_equal(answer.query_known, items & users)
    with Client(server.address, "cmml", timeout=60, context_cache=ContextCache()) as cached:
        first = cached.score(*(one[:1] for one in arguments))
        np.testing.assert_allclose(first.score[0], expected[0], atol=1e-5)
        for _ in range(2):
            together = cached.score(*arguments)
            np.testing.assert_allclose(together.score, expected, atol=1e-5)
        np.testing.assert_array_equal(together.item_known, items)


def test_contexts_of_different_supports_are_merged_without_a_trace(server, exported):
    model, _ = exported
    wrong, widths = [], []

    def ask(S):
        request = request_of(B=1, S=S, Q=S, seed=S)
        expected = expected_scores(model, request)
        encoded = server.predict(request_part(request, "support"), signature="encode_context")
        scored = request_part(request, "query") | {"context": encoded.outputs["context"]}
        for _ in range(20):
            answer = server.predict(scored, signature="score_with_context").outputs
            widths.append(answer["score"].shape[1] - S)
            if not np.allclose(answer["score"][:, :S], expected, atol=1e-5):
                wrong.append(S)

    threads = [threading.Thread(target=ask, args=(S,)) for S in (1, 3, 6, 9) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert any(widths), "no request was merged with a longer one"


def test_the_export_is_feed_forward_and_says_how_wide_contexts_are(exported):
    model, version = exported
    check_feed_forward(version)
    manifest = json.loads((version / "assets.extra" / "cmml_manifest.json").read_text())
    width = model.context_width
    assert manifest["model"]["context_dimension"] is None
    assert manifest["model"]["context_width"] == {"task": width.task, "support_pair": width.pair}
    assert [one["name"] for one in manifest["features"]["item"]] == ["genre", "cover"]
    assert manifest["features"]["item"][1] == {"name": "cover", "kind": "vector", "width": 2}


def test_recommend_gives_back_ids_that_only_the_support_names(client):
    items = [NEW[0]] * 6
    best = client.recommend([10, 40, 70, 0, -3, 99], items, [1.0] * 6, 5)
    score = client.score([10, 40, 70, 0, -3, 99], items, [1.0] * 6, 5, [*ITEM_IDS, NEW[0]]).score
    order = [([*ITEM_IDS, NEW[0]])[place] for place in np.argsort(-score)]
    assert best.item_id.tolist() == order[: len(ITEM_IDS)]
    own = client.recommend([5] * 6, items, [1.0] * 6, 5)
    assert NEW[0] not in own.item_id


SUPPORT_ITEMS = {
    "id": ["film a ü", NEW[0], NEW[1]],
    "genre": ["War", "War", None],
    "cover": [[0.1, -1.0], [2.0, 1.0], None],
}
QUERY_ITEMS = {
    "id": ["film b ü", "film c ü", NEW[0], "new c"],
    "genre": ["Drama", "War", "War", "Comedy"],
    "cover": [[5.0, 5.0], None, [2.0, 1.0], [1.0, -2.0]],
}
LABEL = [1.0, 1.0, 0.0]
SUPPORT_USERS = {"id": [70, 5, 10], "age": [20.0, 30.0, None]}
QUERY_USERS = {"id": 5, "age": 30.0}


def test_features_are_read_where_the_id_is_not_known(client):
    scored = partial(client.score_features, support_label=LABEL, support_users=SUPPORT_USERS)
    answer = scored(SUPPORT_ITEMS, query_items=QUERY_ITEMS, query_users=QUERY_USERS)
    assert answer.item_known.tolist() == [True, True, False, False]
    assert answer.user_known.tolist() == [False] * 4

    def changed(**columns):
        return (
            scored(SUPPORT_ITEMS, query_items=QUERY_ITEMS | columns, query_users=QUERY_USERS).score
            - answer.score
        )

    # Of a known id another genre changes nothing, of an unknown one it does.
    assert changed(genre=["War", "Comedy", "War", "Comedy"]).tolist() == [0] * 4
    moved = changed(genre=["Drama", "War", "Drama", "War"])
    assert (np.abs(moved) > 1e-3).tolist() == [False, False, True, True]
    moved = changed(cover=[None, None, [2.0, 1.0], [9.0, 9.0]])
    assert (np.abs(moved) > 1e-3).tolist() == [False, False, False, True]
    older = scored(SUPPORT_ITEMS, query_items=QUERY_ITEMS, query_users=QUERY_USERS | {"age": 55.0})
    assert (np.abs(older.score - answer.score) > 1e-4).all()


def test_known_ids_score_as_by_id_whatever_their_features(client):
    users, items = [70, 10, 0], ["film a ü", "film b ü", "film h ü"]
    expected = client.score([users] * 2, [items] * 2, [LABEL] * 2, [[40] * 3] * 2, [items] * 2)
    described = {
        "id": [items] * 2,
        "genre": [["War"] * 3, ["", "?", "Drama"]],
        "cover": [[[1.0, 2.0]] * 3, [None] * 3],
    }
    answer = client.score_features(
        described,
        [LABEL] * 2,
        described,
        support_users={"id": [users] * 2, "age": [[20.0] * 3] * 2},
        query_users={"id": 40, "age": [None, 33.0]},
    )
    np.testing.assert_allclose(answer.score, expected.score, atol=1e-6)
    assert np.all(answer.query_known)


def test_rows_of_unknown_ids_are_content_mapped(exported):
    model, version = exported
    content = matching_model().content
    signature = tf.saved_model.load(str(version)).signatures["score_features"]
    request = request_of(B=1, S=3, Q=2, users=USER_IDS, items=ITEM_IDS)
    request["query_item_id"] = np.array([["new a", "film a ü"]])
    rng = np.random.default_rng(1)
    for prefix, n in (("support", 3), ("query", 2)):
        request[f"{prefix}_item_genre"] = np.array([["War"] * n])
        request[f"{prefix}_item_cover"] = rng.normal(size=(1, n, 2)).astype(np.float32)
        request[f"{prefix}_user_age"] = np.full([1, n], 30, np.float32)
    columns = [
        ContentColumn("genre", "categorical", np.array(["War"], object)),
        ContentColumn("cover", "vector", request["query_item_cover"][0, :1]),
    ]
    row = np.append(content.item.encoder.encode(columns)[0], 1.0) @ content.item.map
    support, user, item = keys_of(request, USER_IDS, ITEM_IDS)
    adapted = model.adapt(support)
    rows = model.tables.item_rows(item).numpy()
    rows[0, 0] = row
    expected = model.score_rows(adapted, user, item, model.tables.user_rows(user), rows)
    np.testing.assert_allclose(call(signature, request)["score"], expected, atol=1e-4)
    by_id = expected_scores(model, request)
    assert abs(expected.numpy()[0, 0] - by_id[0, 0]) > 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": {"age": 30.0}}, "`user` must be left out"),
        ({"query_users": None}, "`query_users` must be a mapping or a table"),
        (
            {"query_items": {"id": ["film a ü"], "genre": ["War"]}},
            "must hold the feature `cover`",
        ),
        (
            {"query_items": QUERY_ITEMS | {"cover": [[1.0]] * 4}},
            "`query_item_cover` must be a vector of 2 numbers",
        ),
        (
            {"query_items": QUERY_ITEMS | {"cover": [None]}},
            "`query_item_genre` must be as long as `query_item_cover`",
        ),
        ({"support_label": [1.0, 0.0]}, "must be as long as"),
        (
            {"query_items": QUERY_ITEMS | {"cover": [[np.inf, 0.0]] * 4}},
            "`query_item_cover` must lie between",
        ),
    ],
)
def test_wrong_arguments_are_named(client, change, message):
    arguments = {
        "support_items": SUPPORT_ITEMS,
        "support_label": LABEL,
        "query_items": QUERY_ITEMS,
        "support_users": SUPPORT_USERS,
        "query_users": QUERY_USERS,
    }
    with pytest.raises(InputError, match=message):
        client.score_features(**(arguments | change))
