"""A model that matches by key, asked by raw ids, known and unknown."""

import numpy as np
import pytest
import tensorflow as tf
from matching_cases import (
    ITEM_IDS,
    ITEMS,
    USER_IDS,
    USERS,
    expected_scores,
    matching_model,
    objects,
    request_of,
)
from serving_cases import call

from cmml_tf.layers.matching.match_context import MatchContext
from cmml_tf.request_limits import RequestLimits
from cmml_tf.serving.catalogue.catalogue import LARGEST_SCORED_CATALOGUE, RecommendOptions
from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.requests.task_groups import matched_some_at_a_time
from cmml_tf.serving.signatures import serving_signatures
from cmml_tf.serving.version.loop_calls import run_loop_calls_in_order
from cmml_tf.serving.vocabulary import vocabulary

NUMBERS = [3, -1, 8, 2, -(2**63), 5, 0, 2**63 - 1, 77]


@pytest.fixture(scope="module", params=["strings", "integers"])
def served(request, tmp_path_factory):
    """The model, its signatures, its item ids and some that it does not know."""
    model = matching_model().model
    known = ITEM_IDS if request.param == "strings" else NUMBERS
    unknown = ["new a", "new b", ""] if request.param == "strings" else [1, -2, -3, 9, 2**62]
    graph = ServingGraph(
        model,
        vocabulary("user_ids", USER_IDS, USERS),
        vocabulary("item_ids", known, ITEMS),
        tmp_path_factory.mktemp("vocabulary"),
        limits=RequestLimits(support_pairs=40),
    )
    return model, graph, serving_signatures(graph), known, unknown


def asked(served, seed=0, **sizes):
    _, _, _, known, unknown = served
    return request_of(seed=seed, items=[*known, *unknown], **sizes)


@pytest.mark.parametrize("seed", range(2))
def test_scores_are_the_model_s_own_for_known_and_unknown_ids(served, seed):
    model, _, signatures, known, _ = served
    request = asked(served, seed, B=3, S=12)
    answer = call(signatures["serving_default"], request)
    expected = expected_scores(model, request, item_ids=known)
    np.testing.assert_allclose(answer["score"], expected, rtol=1e-6, atol=1e-5)
    item_known = np.isin(request["query_item_id"], known)
    user_known = np.isin(request["query_user_id"], USER_IDS)
    np.testing.assert_array_equal(answer["item_known"], item_known)
    np.testing.assert_array_equal(answer["user_known"], user_known)
    np.testing.assert_array_equal(answer["query_known"], item_known & user_known)


@pytest.mark.parametrize("empty", ["task", "support", "query"])
def test_an_axis_may_be_empty(served, empty):
    signatures = served[2]
    request = asked(served, B=2, S=6) | {"support_length": np.int32([0, 0])}
    expected = call(signatures["serving_default"], request)["score"]
    part = slice(0, 0 if empty == "task" else None), slice(0, 0 if empty == "query" else None)
    if empty == "task":
        request = {name: value[:0] for name, value in request.items()}
    else:
        pairs = (name for name, value in request.items() if empty in name and value.ndim == 2)
        request |= {name: request[name][:, :0] for name in pairs}
    answer = call(signatures["serving_default"], request)["score"]
    np.testing.assert_allclose(answer, expected[part], atol=1e-6)


def test_an_unknown_item_is_told_from_another_and_found_in_the_support(served):
    _, _, signatures, _, unknown = served
    support = {
        "support_user_id": np.int64([[70, 10, 40]]),
        "support_item_id": np.array([[unknown[0]] * 3]),
        "support_label": np.ones([1, 3], np.float32),
        "support_length": np.int32([3]),
    }
    query = {
        "query_user_id": np.int64([[5, 5, 5]]),
        "query_item_id": np.array([[unknown[0], unknown[1], unknown[2]]]),
    }
    score = call(signatures["serving_default"], support | query)["score"][0]
    assert abs(score[0] - score[1]) > 1e-3
    np.testing.assert_allclose(score[1], score[2], atol=1e-6)
    matches = call(signatures["explain"], support | query)["matches"][0]
    assert matches.tolist() == [[3, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_a_context_scores_as_its_support_does_and_is_filled_up_with_anything(served):
    model, _, signatures, _, _ = served
    request = asked(served, S=12)
    direct = call(signatures["serving_default"], request)
    encoded = call(signatures["encode_context"], request)
    width = model.context_width
    assert encoded["context"].shape == (2, width.task + 12 * width.pair)
    for fill in (0.0, -3.5, 1e30):
        filler = np.full([2, 3 * width.pair], fill, np.float32)
        context = np.concatenate([encoded["context"], filler], axis=1)
        answer = call(signatures["score_with_context"], request | {"context": context})
        for name, value in direct.items():
            np.testing.assert_array_equal(answer[name], value)


def test_what_lies_behind_the_pairs_of_a_context_is_zero_and_not_read(served):
    model, _, signatures, _, _ = served
    request = asked(served, S=12) | {"support_length": np.int32([5, 0])}
    context = call(signatures["encode_context"], request)["context"]
    width = model.context_width
    assert not context[0, width.task + 5 * width.pair :].any()
    assert not context[1, width.task :].any()
    expected = call(signatures["score_with_context"], request | {"context": context})
    context[0, width.task + 5 * width.pair :] = 7.0
    answer = call(signatures["score_with_context"], request | {"context": context})
    np.testing.assert_array_equal(answer["score"], expected["score"])


@pytest.mark.parametrize(
    ("pairs", "more", "message"),
    [
        (2, 1, "must hold {} numbers of its task and 14 of each support pair"),
        (-1, 0, "must hold {} numbers of its task"),
        (41, 0, "must hold at most 40 support pairs a task"),
    ],
)
def test_contexts_of_another_width_are_refused(served, pairs, more, message):
    model, _, signatures, _, _ = served
    width = model.context_width
    context = np.zeros([2, max(0, width.task + pairs * width.pair) + more], np.float32)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message.format(width.task)):
        call(signatures["score_with_context"], asked(served) | {"context": context})


def test_no_unknown_id_is_a_row_or_another_id(served):
    _, graph, _, known, unknown = served
    rng = np.random.default_rng(0)
    if graph.item_id_dtype == tf.string:
        ids = objects([*unknown, *(f"item {n}" for n in range(2000))])
    else:
        extreme = [-(2**63) + 50, 2**63 - 2, *range(-40, 40)]
        ids = np.unique(np.int64([*extreme, *rng.integers(-(2**62), 2**62, 2000)]))
        ids = ids[~np.isin(ids, known)]
    key, is_known = graph._items(tf.constant(ids))
    assert not is_known.numpy().any()
    assert ((key.numpy() < 0) | (key.numpy() > ITEMS)).all()
    assert len(np.unique(key.numpy())) == len(ids)


def test_recommend_ranks_the_catalogue_and_what_only_the_support_names(served):
    _, _, signatures, known, unknown = served
    new, other, own = unknown[:3]
    items = [[new, other, new, own, own, known[0], known[1], unknown[0]]]
    request = {
        "support_user_id": np.int64([[10, 40, 70, 5, 40, 5, 40, 5]]),
        "support_item_id": np.array(items),
        "support_label": np.float32([[1, 0, 1, 1, 1, 1, 1, 1]]),
        "support_length": np.int32([7]),  # the last pair does not count: 5 has not taken it
        "user_id": np.int64([5]),
    }
    candidates = [one for one in [*known, new, other] if one != known[0]]
    query = {
        "query_user_id": np.full([1, len(candidates)], 5, np.int64),
        "query_item_id": np.array([candidates]),
    }
    score = call(signatures["serving_default"], request | query)["score"][0]
    order = np.argsort(-score)
    best = call(signatures["recommend"], request)
    found = [one.decode() if isinstance(one, bytes) else one for one in best["item_id"][0]]
    assert found == [candidates[place] for place in order][: len(found)]
    np.testing.assert_allclose(best["score"][0], score[order][: len(found)], atol=1e-5)
    assert len(found) == ITEMS


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_what_stands_for_no_item_is_not_recommended(narrowed, label):
    signatures = narrowed[1]
    request = {
        "support_user_id": np.int64([[1, 2, 3, 4]]),
        "support_item_id": np.int64([[-1, -1, -2, -1]]),
        "support_label": np.float32([[label, 1, 1, 1]]),
        "support_length": np.int32([4]),
        "user_id": np.int64([0]),
    }
    found = call(signatures["recommend"], request)["item_id"][0]
    assert -2 in found
    assert -1 not in found


@pytest.fixture(scope="module")
def narrowed(tmp_path_factory):
    """A graph of a catalogue so large that it is narrowed, and its signatures."""
    rows = LARGEST_SCORED_CATALOGUE + 1
    model = matching_model(seed=2, items=rows).model
    # So little is expected of an item that a click says much.
    model.matching.count_posterior.log_strength.assign(-1.0)
    graph = ServingGraph(
        model,
        vocabulary("user_ids", np.arange(USERS), USERS),
        vocabulary("item_ids", np.arange(rows), rows),
        tmp_path_factory.mktemp("narrowed"),
        RecommendOptions(top_k=50, candidates=100),
    )
    return graph, serving_signatures(graph)


def test_a_narrowing_reads_fewer_columns_than_tell_items_apart(narrowed):
    catalogue = narrowed[0].catalogue
    assert catalogue.kept.candidates == 100
    assert catalogue.kept.recall > 0.9
    # Of 17 that hold .99 of how items differ.
    assert catalogue.narrowing.columns.shape[1] < 15


def test_one_thread_runs_the_loop_of_a_narrowed_catalogue(narrowed, tmp_path):
    graph, signatures = narrowed
    tf.saved_model.save(graph, str(tmp_path), signatures=signatures)
    run_loop_calls_in_order(tmp_path)
    saved = (tmp_path / "saved_model.pb").read_bytes()
    assert saved.count(b"SINGLE_THREADED_EXECUTOR") == 1


def test_tasks_of_a_narrowed_catalogue_are_answered_each_by_itself(narrowed):
    rng = np.random.default_rng(1)
    request = {
        "support_user_id": rng.integers(0, USERS, (3, 20)),
        "support_item_id": rng.integers(0, LARGEST_SCORED_CATALOGUE, (3, 20)),
        "support_label": rng.integers(0, 2, (3, 20)).astype(np.float32),
        "support_length": np.int32([20, 0, 7]),
        "user_id": np.int64([4, 1, 2**40]),
    }
    together = call(narrowed[1]["recommend"], request)
    for task in range(3):
        one = {name: value[task : task + 1] for name, value in request.items()}
        alone = call(narrowed[1]["recommend"], one)
        np.testing.assert_array_equal(alone["item_id"][0], together["item_id"][task])
        np.testing.assert_allclose(alone["score"][0], together["score"][task], atol=1e-5)


def test_a_large_catalogue_is_narrowed_but_for_items_of_the_support(narrowed):
    rows, asked_user, rng = LARGEST_SCORED_CATALOGUE + 1, 4, np.random.default_rng(0)
    signatures = narrowed[1]
    named = rng.choice(rows, 400, replace=False)
    request = {
        "support_user_id": rng.choice([0, 1, 2, 3, 5], (1, 400)),
        "support_item_id": named[None],
        "support_label": np.ones([1, 400], np.float32),
        "support_length": np.int32([400]),
        "user_id": np.int64([asked_user]),
        "query_user_id": np.full([1, rows], asked_user),
        "query_item_id": np.arange(rows)[None],
    }
    score = call(signatures["serving_default"], request)["score"][0]
    best = call(signatures["recommend"], request)
    of_support = [item for item in np.argsort(-score)[:50] if item in named]
    assert of_support
    assert set(of_support) <= set(best["item_id"][0])
    np.testing.assert_allclose(best["score"][0], score[best["item_id"][0]], atol=1e-4)
    assert best["score"][0, 0] == best["score"].max()


def test_a_support_without_a_pair_is_recommended_the_catalogue(served):
    _, _, signatures, known, _ = served
    request = asked(served, B=1, S=1) | {"support_length": np.int32([0])}
    best = call(signatures["recommend"], request | {"user_id": np.int64([70])})["item_id"][0]
    assert {one.decode() if isinstance(one, bytes) else one for one in best} == set(known)


def test_many_pairs_are_compared_some_at_a_time(served, monkeypatch):
    model, _, _, known, _ = served
    request = asked(served, B=3, S=9, Q=11)
    expected = expected_scores(model, request, item_ids=known)
    monkeypatch.setattr("cmml_tf.serving.requests.task_groups.MATCHES_AT_A_TIME", 40)
    graph = served[1]
    score = matched_some_at_a_time(model.score_adapted, MatchContext.pairs)
    adapted, _ = graph._adapt_ids({k: tf.constant(v) for k, v in request.items()})
    user, item = (tf.constant(request[f"query_{side}_id"]) for side in ("user", "item"))
    answer = tf.function(score, autograph=False)(
        adapted, graph._users(user).key, graph._items(item).key
    )
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def copies(signature, op):
    """How often an operation stands in a signature's graph, in all that it calls as well."""
    graph = signature.graph.as_graph_def()
    library = {function.signature.name: function for function in graph.library.function}

    def counted(nodes):
        called = [f.name for n in nodes for v in n.attr.values() for f in (v.func, *v.list.func)]
        inner = sum(counted(library[name].node_def) for name in called if name in library)
        return inner + sum(node.op == op for node in nodes)

    return counted(graph.node)


def test_no_signature_holds_a_part_of_the_model_many_times(served):
    # Each copy is optimised when a version is loaded. One is for what is usual, one for parts of
    # what is large.
    for name, signature in served[2].items():
        assert copies(signature, "Softplus") <= 2, name  # of a score
        # Of a context: two steps of the taste, and the fold-in.
        assert copies(signature, "Cholesky") <= 3, name
    assert copies(served[2]["recommend"], "Softplus") == 1
