"""`recommend`: the best items of the catalogue, found in the served graph."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from serving_cases import (
    ITEM_IDS,
    SMALL_POOLING,
    USER_IDS,
    USERS,
    call,
    filled_model,
    request_by_id,
)

from cmml_tf.config import ModelConfig
from cmml_tf.serving.catalogue.catalogue import LARGEST_SCORED_CATALOGUE, RecommendOptions
from cmml_tf.serving.catalogue.narrowing_recall import SampleTasks
from cmml_tf.serving.export import export_model
from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.version.manifest import MANIFEST_FILE
from cmml_tf.serving.vocabulary import vocabulary

LARGE = 5000
MANY_ITEMS = [10 * row for row in range(LARGE)]
LOWEST = np.finfo(np.float32).min


def signatures(model, folder, *ids, **sizes):
    loaded = tf.saved_model.load(str(export_model(model, folder, *ids, **sizes)))
    return loaded, loaded.signatures


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """K = 4 of 9 items, ids of both types."""
    return signatures(
        filled_model(SMALL_POOLING), tmp_path_factory.mktemp("small"), USER_IDS, ITEM_IDS, top_k=4
    )


class Large(NamedTuple):
    """A model of 5,000 items exported with K = 5, 30 items scored."""

    model: Any
    version: Path
    loaded: Any
    tasks: SampleTasks

    @property
    def signatures(self):
        return self.loaded.signatures

    @property
    def columns(self):
        return self.model.pair_embedding.item_table.numpy()[:-1].astype(np.float64)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    model, tasks = filled_model(SMALL_POOLING, items=LARGE), SampleTasks.drawn(USERS, LARGE)
    folder = tmp_path_factory.mktemp("large")
    sizes = {"top_k": 5, "retrieval_candidates": 30, "sample_tasks": tasks}
    version = export_model(model, folder, USER_IDS, MANY_ITEMS, **sizes)
    return Large(model, version, tf.saved_model.load(str(version)), tasks)


def linear_model():
    """Its score is nothing but the product of user and item."""
    return filled_model(ModelConfig(encoder="none", hybrid="none", modulation="none",
                                    backbone_units=(2,), affinity=True), items=LARGE)  # fmt: skip


def uneven_model():
    """Its score is so far from linear in the item's embedding that no regression foretells it."""
    model, rng = filled_model(SMALL_POOLING, items=LARGE), np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return model


def scores_of(served, inputs, items):
    """What `serving_default` says of these items, for each task's `user_id`."""
    B = len(inputs["user_id"])
    query = {
        "query_user_id": np.repeat(inputs["user_id"][:, None], len(items), axis=1),
        "query_item_id": np.tile(np.array(items), (B, 1)),
    }
    return call(served["serving_default"], {**inputs, **query})["score"]


def recommend_request(B=2, S=6, seed=0, **ids):
    inputs = request_by_id(B, S, 1, seed, **ids)
    inputs["user_id"] = inputs["support_user_id"][:, 0].copy()
    inputs["support_label"][:, 0] = 1.0
    return inputs


def texts(ids):
    return [[one.decode() if isinstance(one, bytes) else int(one) for one in row] for row in ids]


def best_of(scores, ids, left_out, k):
    order = [place for place in np.argsort(-scores) if ids[place] not in left_out]
    return [ids[place] for place in order[:k]]


def own_positives(inputs, task):
    mine = inputs["support_user_id"][task] == inputs["user_id"][task]
    mine &= inputs["support_label"][task] > 0
    mine &= np.arange(len(mine)) < inputs["support_length"][task]
    return set(inputs["support_item_id"][task][mine].tolist())


def test_the_best_items_are_those_that_score_best_without_the_user_s_positives(small):
    for seed in range(5):
        inputs = recommend_request(B=3, S=8, seed=seed)
        answer = call(small[1]["recommend"], inputs)
        scores = scores_of(small[1], inputs, ITEM_IDS)
        for task, items in enumerate(texts(answer["item_id"])):
            left_out = own_positives(inputs, task)
            assert left_out
            assert items == best_of(scores[task], ITEM_IDS, left_out, 4)
        best = [scores[task][[ITEM_IDS.index(item) for item in items]]
                for task, items in enumerate(texts(answer["item_id"]))]  # fmt: skip
        np.testing.assert_allclose(answer["score"], best, rtol=0, atol=1e-6)


def test_negatives_others_pairs_and_pairs_behind_the_length_are_not_left_out(small):
    inputs = recommend_request(B=1, S=4)
    inputs["user_id"][:] = 70
    inputs["support_user_id"][:] = [[70, 10, 70, 70]]
    inputs["support_label"][:] = [[0, 1, 1, 1]]
    inputs["support_length"][:] = 2
    scores = scores_of(small[1], inputs, ITEM_IDS)[0]
    best = best_of(scores, ITEM_IDS, set(), 4)
    inputs["support_item_id"][:] = [[best[0], best[1], best[2], best[3]]]
    answer = call(small[1]["recommend"], inputs)
    expected = best_of(scores_of(small[1], inputs, ITEM_IDS)[0], ITEM_IDS, set(), 4)
    assert texts(answer["item_id"]) == [expected]


def test_a_user_unknown_to_the_model_is_not_recommended_what_they_took(small):
    inputs = recommend_request(B=1, S=3)
    inputs["support_user_id"][:] = inputs["user_id"][:] = 123456
    inputs["support_label"][:] = 1
    answer = call(small[1]["recommend"], inputs)
    assert not set(texts(answer["item_id"])[0]) & set(inputs["support_item_id"][0])


def test_places_without_an_item_are_marked(small):
    inputs = recommend_request(B=1, S=7)
    inputs["support_user_id"][:] = inputs["user_id"][0]
    inputs["support_item_id"][:] = ITEM_IDS[:7]
    inputs["support_label"][:] = 1
    answer = call(small[1]["recommend"], inputs)
    items = texts(answer["item_id"])[0]
    assert set(items[:2]) == set(ITEM_IDS[7:])
    assert items[2:] == ["", ""]
    assert answer["score"][0, 2:].tolist() == [LOWEST, LOWEST]


def foretold(served, inputs, task):
    """The regression of the model's scores on item embeddings, as `Narrowing` describes it."""
    columns = served.columns
    largest = np.argsort(-np.square(columns).sum(axis=1), kind="stable")[:128]
    others = np.delete(np.arange(LARGE), largest)
    drawn = np.random.default_rng(0).choice(others, 128, replace=False)
    rows = np.sort(np.concatenate([largest, drawn]))
    one = {name: value[task : task + 1] for name, value in inputs.items()}
    scores = scores_of(served.signatures, one, [MANY_ITEMS[row] for row in rows])[0]
    reference = columns[rows] - columns[rows].mean(axis=0)
    penalty = np.square(reference).mean() * np.eye(columns.shape[1])
    return columns @ np.linalg.solve(reference.T @ reference + penalty, reference.T @ scores)


def test_items_of_a_large_catalogue_are_narrowed_to_those_whose_foretold_score_is_best(large):
    inputs = recommend_request(B=3, S=6, item_ids=MANY_ITEMS)
    inputs["user_id"][2] = 999
    answer = call(large.signatures["recommend"], inputs)
    for task in range(3):
        likely = foretold(large, inputs, task)
        own = own_positives(inputs, task)
        order = [MANY_ITEMS[row] for row in np.argsort(-likely) if MANY_ITEMS[row] not in own]
        scores = scores_of(large.signatures, inputs, order[:30])[task]
        assert texts(answer["item_id"])[task] == best_of(scores, order[:30], set(), 5)


def test_what_is_kept_of_a_large_catalogue_is_stated(large):
    manifest = json.loads((large.version / MANIFEST_FILE).read_text(encoding="utf-8"))
    stated = manifest["recommend"]
    assert (stated["scored_items"], stated["top_k"]) == (30, 5)
    hits = []
    tasks = large.tasks
    for number in range(stated["sample_tasks"]):
        support, user = tasks.task(number)
        context = large.model.encode_context(support)
        users = np.repeat(user.numpy()[None], LARGE, axis=1)
        every = np.arange(LARGE)[None]
        scores = large.model.score_with_context(context, users, every).numpy()[0]
        inputs = {
            "support_user_id": np.array(USER_IDS)[support.user.numpy()],
            "support_item_id": 10 * support.item.numpy(),
            "support_label": support.label.numpy(),
            "support_length": support.length.numpy(),
            "user_id": np.array(USER_IDS)[user.numpy()],
        }
        kept = np.argsort(-foretold(large, inputs, 0))[:30]
        hits.append(np.isin(np.argsort(-scores)[:5], kept).mean())
    assert stated["recall"] == pytest.approx(np.mean(hits), abs=0.01)


def test_as_many_candidates_are_scored_as_keep_nearly_all_of_the_best(tmp_path):
    graph = ServingGraph(
        linear_model(),
        vocabulary("user_ids", USER_IDS, USERS),
        vocabulary("item_ids", MANY_ITEMS, LARGE),
        tmp_path,
        RecommendOptions(top_k=5),
    )
    kept = graph.catalogue.kept
    assert kept.recall >= 0.99
    assert kept.candidates == 100


# A catalogue of 9 items is the small version of the first: `small`, above.
@pytest.mark.parametrize(
    "rows", [pytest.param(LARGEST_SCORED_CATALOGUE, marks=pytest.mark.slow), LARGE]
)
def test_all_items_are_scored_where_they_are_few_or_no_candidates_keep_enough(tmp_path, rows):
    model = filled_model(SMALL_POOLING, items=rows) if rows < LARGE else uneven_model()
    version = export_model(model, tmp_path, USER_IDS, MANY_ITEMS[:rows], top_k=5)
    stated = json.loads((version / MANIFEST_FILE).read_text(encoding="utf-8"))["recommend"]
    assert stated == {"top_k": 5, "scored_items": rows, "recall": 1.0, "sample_tasks": 0}
    served = tf.saved_model.load(str(version)).signatures
    inputs = recommend_request(B=1, S=2, item_ids=MANY_ITEMS[:rows])
    scores = scores_of(served, inputs, MANY_ITEMS[:rows])[0]
    best = best_of(scores, MANY_ITEMS, own_positives(inputs, 0), 5)
    assert texts(call(served["recommend"], inputs)["item_id"]) == [best]


@pytest.mark.parametrize("case", ["small", "large"])
def test_recommendations_do_not_depend_on_what_a_request_is_batched_with(case, request):
    served = request.getfixturevalue(case)
    served = served.signatures if case == "large" else served[1]
    ids = {"item_ids": ITEM_IDS if case == "small" else MANY_ITEMS}
    single = [recommend_request(1, S, S, **ids) for S in (2, 9, 40)]
    merged = {}
    for name in served["recommend"].structured_input_signature[1]:
        values = [inputs[name] for inputs in single]
        if values[0].ndim == 2:
            values = [
                np.concatenate([v, np.full([1, 40 - v.shape[1]], v[0, 0])], 1).astype(v.dtype)
                for v in values
            ]
        merged[name] = np.concatenate(values)
    together = call(served["recommend"], merged)
    for task, inputs in enumerate(single):
        alone = call(served["recommend"], inputs)
        assert texts(alone["item_id"])[0] == texts(together["item_id"])[task]
        np.testing.assert_allclose(alone["score"][0], together["score"][task], atol=1e-5)


def test_what_one_request_leaves_out_the_next_is_recommended(large):
    request = recommend_request(B=1, item_ids=MANY_ITEMS)
    nothing = request | {"support_length": np.int32([0])}
    first = call(large.signatures["recommend"], nothing)
    taken = nothing | {
        "support_user_id": np.repeat(nothing["user_id"][:, None], 5, axis=1),
        "support_item_id": first["item_id"],
        "support_label": np.ones([1, 5], np.float32),
        "support_length": np.int32([5]),
    }
    second = call(large.signatures["recommend"], taken)
    assert not set(second["item_id"][0]) & set(first["item_id"][0])
    again = call(large.signatures["recommend"], nothing)
    np.testing.assert_array_equal(again["item_id"], first["item_id"])


def test_users_of_other_tasks_are_refused(small):
    inputs = {**recommend_request(), "user_id": np.array([70])}
    sentence = r"`user_id` must have as many rows as `support_user_id` \(B=2\). Received: 1"
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        call(small[1]["recommend"], inputs)


@pytest.mark.parametrize("name", ["top_k", "retrieval_candidates"])
def test_a_size_that_is_not_positive_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive integer. Received: .*=0"):
        export_model(filled_model(SMALL_POOLING), tmp_path / "x", USER_IDS, ITEM_IDS, **{name: 0})
    assert not (tmp_path / "x").exists()
