"""The exported ordinal model: mean, median and interval, with and without a context."""

import numpy as np
import pytest
import tensorflow as tf
from models.small_ordinal import ITEMS, ordinal

from cmml_tf.client import Client, ContextCache
from cmml_tf.serving.export import export_model
from cmml_tf.types import Support

ANSWERS = ("score", "score_median", "score_low", "score_high")
RATED, LABEL = [503, 507, 501, 512], [5.0, 1.0, 3.0, 2.0]
ASKED = [502, 505, 514, 9]  # nobody has rated 514, and 9 is unknown


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    data, _, model = ordinal()
    folder = export_model(
        model,
        tmp_path_factory.mktemp("export"),
        data.user_ids,
        data.item_ids,
        scale=(1.0, 5.0),
        top_k=5,
    )
    return model, folder, tf.saved_model.load(str(folder)).signatures


def support(label=LABEL, length=4):
    return {
        "support_user_id": tf.constant([[103] * 4], tf.int64),
        "support_item_id": tf.constant([RATED], tf.int64),
        "support_label": tf.constant([label]),
        "support_length": tf.constant([length]),
    }


QUERY = {
    "query_user_id": tf.constant([[103] * 4], tf.int64),
    "query_item_id": tf.constant([ASKED], tf.int64),
}


@pytest.mark.parametrize("length", [0, 4])
def test_answers_are_the_models(exported, length):
    model, _, signatures = exported
    answer = signatures["serving_default"](**support(length=length), **QUERY)
    rows = Support(
        tf.fill([1, 4], 3), tf.constant([RATED]) - 500, tf.constant([LABEL]), tf.constant([length])
    )
    items = tf.constant([[2, 5, 14, ITEMS]])
    expected = model.answers(model.encode_context(rows), tf.fill([1, 4], 3), items)
    for name in ANSWERS:
        np.testing.assert_allclose(answer[name], expected[name], atol=1e-5)
    np.testing.assert_array_equal(answer["query_known"], [[True, True, True, False]])
    encoded = signatures["encode_context"](**support(length=length))
    again = signatures["score_with_context"](context=encoded["context"], **QUERY)
    for name in ANSWERS:
        np.testing.assert_allclose(again[name], answer[name], atol=1e-5)


def test_without_an_axis_of_pairs_there_is_no_support(exported):
    nothing = {name: value[:, :0] for name, value in support(length=0).items() if value.ndim == 2}
    nothing["support_length"] = tf.constant([0])
    for name in ("serving_default", "explain"):
        expected = exported[-1][name](**support(length=0), **QUERY)
        answer = exported[-1][name](**nothing, **QUERY)
        for key, value in expected.items():
            np.testing.assert_array_equal(answer[key], value)


def test_any_finite_context_is_scored(exported):
    signatures = exported[-1]
    width = signatures["encode_context"](**support())["context"].shape[1]
    context = tf.constant(np.random.default_rng(0).normal(0, 1e6, (1, width)), tf.float32)
    assert np.isfinite(signatures["score_with_context"](context=context, **QUERY)["score"]).all()


def test_recommend_ranks_what_is_not_rated_by_the_mean(exported):
    signatures = exported[-1]
    best = signatures["recommend"](**support(), user_id=tf.constant([103], tf.int64))
    left = [500 + item for item in range(ITEMS) if 500 + item not in RATED]
    shape = [1, len(left)]
    answer = signatures["serving_default"](
        **support(),
        query_user_id=tf.fill(shape, tf.constant(103, tf.int64)),
        query_item_id=tf.constant([left], tf.int64),
    )
    order = np.argsort(-answer["score"].numpy()[0])[:5]
    np.testing.assert_array_equal(best["item_id"][0], np.array(left)[order])


def test_a_rating_off_the_scale_is_refused(exported):
    with pytest.raises(tf.errors.InvalidArgumentError, match="support_label"):
        exported[-1]["serving_default"](**support(label=[5.5, 1.0, 3.0, 2.0]), **QUERY)


def test_the_client_has_the_median_and_the_interval(exported, start_server):
    signatures = exported[-1]
    expected = signatures["serving_default"](**support(), **QUERY)
    server = start_server(exported[1].parent)
    for cache in (None, ContextCache()):
        with Client(server.address, "cmml", timeout=20, context_cache=cache) as client:
            answer = client.score(103, RATED, LABEL, 103, ASKED)
        for name in ANSWERS:
            np.testing.assert_allclose(getattr(answer, name), expected[name][0], atol=1e-5)
