"""What belongs to a scenario, and how `recommend` ranks a catalogue of many: beside NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from matching_cases import ITEMS, USERS, matching_model
from serving_cases import call

from cmml_tf.serving.catalogue.catalogue import LARGEST_SCORED_CATALOGUE, RecommendOptions
from cmml_tf.serving.catalogue.membership import Membership, MembershipReader
from cmml_tf.serving.export import export_model
from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.signatures import serving_signatures
from cmml_tf.serving.vocabulary import vocabulary

K = 3


def membership(items, seed=0):
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(items, K)).astype(np.float32)
    return Membership(places, rng.uniform(0.2, 2.0, K), np.array([-1.5, 0.8, -0.3]))


def logarithm_of(given, item, label, length):
    """float64 [I], written from the equations of the module's docstring; 0 for named items."""
    item, label = item[:length], label[:length]
    named = sorted({one for one in item.tolist() if 0 <= one < len(given.places)})
    places, ratios = given.places.astype(np.float64), given.ratios
    center = ratios * places[named].sum(axis=0) / (1 + ratios * len(named))
    level, slope, of_clicks = given.numbers
    near = places @ center - center @ center / 2
    found = -np.log1p(np.exp(-(level + slope * near + of_clicks * np.log1p((label > 0).sum()))))
    found[named] = 0.0
    return found


def supports(items, seed=1):
    """Tasks with repeated items, refused ones, unknown ones, padding, and one without a pair."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, items, (4, 12))
    item[0, 1:4] = item[0, 0]
    item[1, 2:5] = [-7, 10**12, items]
    item[:, 11] = 0  # behind every length
    label = rng.integers(0, 2, item.shape).astype(np.float32)
    return item, label, np.int32([11, 9, 0, 1])


def test_probabilities_are_those_of_numpy():
    given = membership(20)
    item, label, length = supports(20)
    reader = MembershipReader(given)
    read = reader.of_support(tf.constant(item), tf.constant(label), tf.constant(length))
    found = reader.of_catalogue(read).numpy()[:, :20]
    rows = tf.constant([[3, 5, 8]], tf.int64)
    some = reader.unnamed(read, rows).numpy()
    for task in range(4):
        expected = logarithm_of(given, item[task], label[task], length[task])
        np.testing.assert_allclose(found[task], expected, atol=1e-5)
        for place, row in enumerate([3, 5, 8]):
            if expected[row]:
                np.testing.assert_allclose(some[task, place], expected[row], atol=1e-5)
    # Without a pair all are alike; behind a length nothing is read.
    assert np.ptp(found[2]) < 1e-6
    assert (found[2] < 0).all()


@pytest.fixture(scope="module", params=[30, LARGEST_SCORED_CATALOGUE + 5])
def served(request, tmp_path_factory):
    """A catalogue that is scored whole, and one that is narrowed."""
    items = request.param
    model, given = matching_model(seed=2, items=items).model, membership(items)
    graph = ServingGraph(
        model,
        vocabulary("user_ids", np.arange(USERS), USERS),
        vocabulary("item_ids", np.arange(items), items),
        tmp_path_factory.mktemp("served"),
        RecommendOptions(20, 1500 if items > 30 else None, membership=given),
    )
    return items, given, graph, serving_signatures(graph)


def test_a_catalogue_is_ranked_by_scores_and_membership(served):
    items, given, graph, signatures = served
    assert (graph.catalogue.narrowing is not None) == (items > 30)
    item, label, length = supports(items)
    outside = np.where((item < 0) | (item >= items), 10**9, item)
    asked = {
        "support_user_id": np.resize([0, 1, 2, 3, 5], item.shape),
        "support_item_id": outside,
        "support_label": label,
        "support_length": length,
    }
    query = {
        "query_user_id": np.full([4, items], 4),
        "query_item_id": np.repeat(np.arange(items)[None], 4, axis=0),
    }
    scores = call(signatures["serving_default"], asked | query)["score"]
    best = call(signatures["recommend"], asked | {"user_id": np.full(4, 4)})
    for task in range(4):
        total = scores[task] + logarithm_of(given, item[task], label[task], length[task])
        known = best["item_id"][task] < items
        answered = best["item_id"][task][known]
        np.testing.assert_allclose(best["score"][task][known], total[answered], atol=1e-4)
        assert (np.diff(best["score"][task]) <= 1e-6).all()
        wanted = np.argsort(-total)[: len(answered)]
        assert len(set(wanted) & set(answered)) >= 0.9 * len(wanted)
        named = {one for one in item[task][: length[task]].tolist() if 0 <= one < items}
        assert named & set(wanted) <= set(answered)


def test_a_membership_that_does_not_fit_is_refused(tmp_path):
    model = matching_model().model
    ids = np.arange(USERS), np.arange(ITEMS)
    with pytest.raises(ValueError, match=rf"each of {ITEMS} items\. Received: {ITEMS + 1}\."):
        export_model(model, tmp_path, *ids, membership=membership(ITEMS + 1))
    assert not list(tmp_path.iterdir())
