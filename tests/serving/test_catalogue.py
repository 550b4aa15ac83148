"""`recommend`: the best items of the catalogue, found in the served graph."""

import numpy as np
import pytest
import tensorflow as tf
from serving_cases import ITEM_IDS, SMALL_POOLING, USER_IDS, call, filled_model, request_by_id

from cmml_tf.config import ModelConfig
from cmml_tf.serving.export import export_model

LARGE = 21_000
MANY_ITEMS = [10 * row for row in range(LARGE)]
SMALL_GRU = ModelConfig(encoder_units=8, hyper_units=8, backbone_units=(8, 8))
LOWEST = np.finfo(np.float32).min


def signatures(model, folder, *ids, **sizes):
    loaded = tf.saved_model.load(str(export_model(model, folder, *ids, **sizes)))
    return loaded, loaded.signatures


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """K = 4 of 9 items, ids of both types."""
    return signatures(
        filled_model(SMALL_GRU), tmp_path_factory.mktemp("small"), USER_IDS, ITEM_IDS, top_k=4
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The model, and K = 5 of 21,000 items, 30 of them scored."""
    model = filled_model(SMALL_POOLING, items=LARGE)
    folder = tmp_path_factory.mktemp("large")
    ids = (USER_IDS, MANY_ITEMS)
    return model, *signatures(model, folder, *ids, top_k=5, retrieval_candidates=30)


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


def test_k_is_at_most_the_catalogue(tmp_path):
    _, served = signatures(filled_model(SMALL_POOLING), tmp_path, USER_IDS, ITEM_IDS)
    answer = call(served["recommend"], recommend_request(B=2, S=1))
    assert answer["item_id"].shape == answer["score"].shape == (2, len(ITEM_IDS))


def test_items_of_a_large_catalogue_are_narrowed_by_factors_then_ranked_by_cmml(large):
    model, _, served = large
    inputs = recommend_request(B=2, S=6, item_ids=MANY_ITEMS)
    user_table = model.pair_embedding.user_table.numpy()
    item_table = model.pair_embedding.item_table.numpy()[:-1]
    for task, user in enumerate(inputs["user_id"]):
        closeness = item_table @ user_table[USER_IDS.index(user)]
        # The user's favourites, so that leaving out matters at both stages.
        favourites = np.argsort(-closeness)[:6]
        inputs["support_user_id"][task], inputs["support_label"][task] = user, 1
        inputs["support_item_id"][task] = np.array(MANY_ITEMS)[favourites]
    answer = call(served["recommend"], inputs)
    for task, user in enumerate(inputs["user_id"]):
        closeness = item_table @ user_table[USER_IDS.index(user)]
        candidates = [MANY_ITEMS[row] for row in np.argsort(-closeness)[6:36]]
        scores = scores_of(served, inputs, candidates)[task]
        assert texts(answer["item_id"])[task] == best_of(scores, candidates, set(), 5)
        np.testing.assert_allclose(answer["score"][task], np.sort(-scores)[:5] * -1, atol=1e-6)


def test_an_unknown_user_of_a_large_catalogue_gets_what_users_like_on_average(large):
    model, _, served = large
    inputs = recommend_request(B=1, S=2, item_ids=MANY_ITEMS)
    inputs["user_id"][:] = 999
    closeness = model.pair_embedding.item_table.numpy()[:-1] @ (
        model.pair_embedding.user_table.numpy()[:-1].mean(axis=0)
    )
    candidates = {MANY_ITEMS[row] for row in np.argsort(-closeness)[:30]}
    answer = call(served["recommend"], inputs)
    assert set(texts(answer["item_id"])[0]) <= candidates


def test_factors_of_different_width_are_ranked_without_narrowing(tmp_path):
    tf.keras.utils.set_random_seed(0)
    from cmml_tf.models.build import build_model

    model = build_model(SMALL_POOLING, len(USER_IDS), LARGE, 2, 3)
    rng = np.random.default_rng(0)
    tables = rng.normal(size=(len(USER_IDS), 2)), rng.normal(size=(LARGE, 3))
    model.pair_embedding.set_tables(*tables)
    _, served = signatures(model, tmp_path, USER_IDS, MANY_ITEMS, top_k=3)
    inputs = recommend_request(B=1, S=2, item_ids=MANY_ITEMS)
    scores = scores_of(served, inputs, MANY_ITEMS)[0]
    best = best_of(scores, MANY_ITEMS, own_positives(inputs, 0), 3)
    assert texts(call(served["recommend"], inputs)["item_id"]) == [best]


@pytest.mark.parametrize("case", ["small", "large"])
def test_recommendations_do_not_depend_on_what_a_request_is_batched_with(case, request):
    served = request.getfixturevalue(case)[-1]
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
