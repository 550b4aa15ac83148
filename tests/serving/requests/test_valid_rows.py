"""A task with wrong values gets NaN and `valid` false; its neighbours get what they get alone."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from serving_cases import ITEM_IDS, ITEMS, SMALL_POOLING, USER_IDS, USERS, call, filled_model
from serving_cases import request_by_id as request

from cmml_tf.config import ModelConfig
from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.layers.feature_embedding import FieldEmbedding
from cmml_tf.models.rating_model import build_rating_model
from cmml_tf.serving.feature_graph import FeatureServingGraph, feature_signature
from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.requests.feature_inputs import FeatureInputs
from cmml_tf.serving.signatures import serving_signatures
from cmml_tf.serving.vocabulary import vocabulary
from cmml_tf.types import Feature, FeatureColumn

MODELS = {
    "gru": ModelConfig(encoder_units=8, hyper_units=8, backbone_units=(8, 8)),
    "ridge": ModelConfig(encoder="ridge", modulation="ridge", hybrid="none", backbone_units=(8, 8)),
    "attention-head": replace(
        SMALL_POOLING,
        encoder="attention",
        context_vectors=2,
        head="ridge",
        ridge_features=3,
        affinity=True,
    ),
}
RATING_MODELS = {"ridge": {"kind": "ridge", "ridge_features": 3}, "film": {}}
WRONG = {
    "label NaN": ("support_label", np.nan, "`support_label` must be finite"),
    "label infinite": ("support_label", -np.inf, "`support_label` must be finite"),
    "length negative": ("support_length", -1, "`support_length` must lie between"),
    "length above S": ("support_length", 6, "`support_length` must lie between"),
}
SUPPORT_SIGNATURES = ("serving_default", "encode_context", "recommend", "explain")


@pytest.fixture(scope="module", params=MODELS)
def served(request, tmp_path_factory):
    graph = ServingGraph(
        filled_model(MODELS[request.param]),
        vocabulary("user_ids", USER_IDS, USERS),
        vocabulary("item_ids", ITEM_IDS, ITEMS),
        tmp_path_factory.mktemp("vocabulary"),
    )
    signatures = serving_signatures(graph)
    signatures["graph"] = graph  # its tables must live
    return signatures


def with_user(inputs):
    return {**inputs, "user_id": inputs["support_user_id"][:, 0].copy()}


def rows(inputs, kept):
    return {name: value[kept] for name, value in inputs.items()}


def assert_only_the_second_of_three_is_not_valid(answer, others):
    assert answer.pop("valid").tolist() == [True, False, True]
    assert others.pop("valid").all()
    for name, value in answer.items():
        if value.dtype == np.float32:
            assert np.isnan(value[1]).all(), name
            np.testing.assert_allclose(value[[0, 2]], others[name], rtol=0, atol=1e-5)
        else:
            np.testing.assert_array_equal(value[[0, 2]], others[name])


@pytest.mark.parametrize("signature", SUPPORT_SIGNATURES)
@pytest.mark.parametrize(("name", "value", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_task_does_not_reach_its_neighbours(served, signature, name, value, sentence):
    inputs = with_user(request(B=3))
    others = call(served[signature], rows(inputs, [0, 2]))
    inputs[name][1] = value
    answer = call(served[signature], inputs)
    if signature == "encode_context":
        assert answer["support_known"][1] == 0
    if signature == "recommend":
        assert set(answer["item_id"][1].tolist()) == {b""}
    assert_only_the_second_of_three_is_not_valid(answer, others)
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        call(served[signature], rows(inputs, [1]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        call(served[signature], rows(inputs, [1, 1]))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (np.nan, "`context` must be finite. Received: nan"),
        (np.inf, "`context` must be finite. Received: inf"),
        (3e38, "`context` must hold numbers that the model can compute with"),
    ],
)
def test_a_wrong_context_does_not_reach_its_neighbours(served, value, sentence):
    inputs = request(B=3)
    context = call(served["encode_context"], inputs)["context"]
    others = call(served["score_with_context"], rows({**inputs, "context": context}, [0, 2]))
    context[1] = value
    answer = call(served["score_with_context"], {**inputs, "context": context})
    assert_only_the_second_of_three_is_not_valid(answer, others)
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        call(served["score_with_context"], rows({**inputs, "context": context}, [1]))


@pytest.mark.parametrize("signature", SUPPORT_SIGNATURES)
def test_a_label_too_large_to_compute_with_is_not_answered_in_silence(served, signature):
    inputs = with_user(request(B=3))
    others = call(served[signature], rows(inputs, [0, 2]))
    inputs["support_label"][1, 0] = 3e38
    answer = call(served[signature], inputs)
    if answer["valid"][1]:  # the model bounds what it reads
        floats = [value for value in answer.values() if value.dtype == np.float32]
        assert all(np.isfinite(value).all() for value in floats)
        return
    if signature == "encode_context":
        assert answer["support_known"][1] == 0
    assert_only_the_second_of_three_is_not_valid(answer, others)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`support_label` must hold numbers"):
        call(served[signature], rows(inputs, [1]))


def test_a_call_without_tasks_is_answered(served):
    answer = call(served["serving_default"], rows(request(B=1), []))
    assert answer["score"].shape[0] == answer["valid"].shape[0] == 0


@pytest.fixture(scope="module", params=RATING_MODELS)
def rating(request, tmp_path_factory):
    tf.keras.utils.set_random_seed(0)
    item = FeatureColumn(Feature("id", "id", ("10", "11")), np.int32([0, 1, 2]))
    genre = FeatureColumn(
        Feature("genre", "multi-hot", ("Drama", "War")), np.int32([1, 0]), np.int64([0, 1, 2, 2])
    )
    price = FeatureColumn(Feature("price", "numeric", (), 10.0, 4.0), np.float32([1, -1, 0]))
    age = FeatureColumn(Feature("age", "numeric", (), 30.0, 10.0), np.float32([1, 0]))
    config = RatingModelConfig(feature_dimension=4, **RATING_MODELS[request.param])
    graph = FeatureServingGraph(
        build_rating_model(config, [item, genre, price], [age]),
        vocabulary("user_ids", [7], 1),
        vocabulary("item_ids", [10, 11], 2),
        tmp_path_factory.mktemp("vocabulary"),
        scale=(0.5, 5.0),
    )
    signatures = {**serving_signatures(graph), **feature_signature(graph)}
    signatures["graph"] = graph
    return signatures


def by_features():
    genre, price = [["War", "Drama|War", ""]] * 3, [[14.0, np.nan, 10.0]] * 3
    inputs = {f"{side}_item_genre": np.array(genre, object) for side in ("support", "query")}
    inputs |= {
        f"{side}_item_id": np.array([["10", "11", "12"]] * 3, object)
        for side in ("support", "query")
    }
    inputs |= {f"{side}_item_price": np.float32(price) for side in ("support", "query")}
    inputs |= {"support_label": np.float32([[5, 1, 3]] * 3), "user_age": np.float32([20, 25, 50])}
    return inputs | {"support_length": np.int32([3, 2, 1])}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("support_label", 5.5, "`support_label` must lie between 0.5 and 5. Received: 5.5"),
        ("support_label", np.nan, "`support_label` must be finite"),
        ("support_length", 4, "`support_length` must lie between"),
        ("support_item_price", np.inf, "`support_item_price` must lie between"),
        ("query_item_price", -np.inf, "`query_item_price` must lie between -39990 and 40010"),
        ("query_item_price", 1e30, "`query_item_price` must lie between"),
        ("user_age", np.inf, "`user_age` must lie between"),
    ],
)
def test_a_wrong_task_by_features_does_not_reach_its_neighbours(rating, name, value, sentence):
    inputs = by_features()
    others = call(rating["score_features"], rows(inputs, [0, 2]))
    inputs[name][1] = value
    answer = call(rating["score_features"], inputs)
    assert_only_the_second_of_three_is_not_valid(answer, others)
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        call(rating["score_features"], rows(inputs, [1]))


def test_numbers_behind_the_length_are_not_read(rating):
    inputs = by_features()
    inputs["support_item_price"][1, 2] = np.inf
    inputs["support_label"][1, 2] = 99
    answer = call(rating["score_features"], inputs)
    assert answer["valid"].all()
    assert np.isfinite(answer["score"]).all()


def test_a_rating_off_the_scale_does_not_reach_its_neighbours_by_id(rating):
    ids = {"user_id": 7, "item_id": 10}
    inputs = {
        f"{side}_{name}": np.full([3, 3], one, np.int64)
        for name, one in ids.items()
        for side in ("support", "query")
    }
    inputs |= {"support_label": np.float32([[5, 1, 3]] * 3), "support_length": np.int32([3, 3, 1])}
    others = call(rating["serving_default"], rows(inputs, [0, 2]))
    inputs["support_label"][1, 0] = 6
    answer = call(rating["serving_default"], inputs)
    assert_only_the_second_of_three_is_not_valid(answer, others)
    examples = [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    **{
                        f"support_{name}": tf.train.Feature(
                            int64_list=tf.train.Int64List(value=[one])
                        )
                        for name, one in ids.items()
                    },
                    **{
                        f"query_{name}": tf.train.Feature(
                            int64_list=tf.train.Int64List(value=[one])
                        )
                        for name, one in ids.items()
                    },
                    "support_label": tf.train.Feature(float_list=tf.train.FloatList(value=[label])),
                }
            )
        ).SerializeToString()
        for label in (5.0, 6.0)
    ]
    scores = rating["serving_tf_example"](inputs=tf.constant(examples))["outputs"]
    assert np.isnan(scores).tolist() == [False, True]


@pytest.mark.parametrize("mean", [-3e38, 0.0, 2e38])
def test_any_number_that_is_accepted_has_a_finite_difference_to_the_mean(tmp_path, mean):
    price = Feature("price", "numeric", (), mean, 3e38)
    field = FieldEmbedding(FeatureColumn(price, np.float32([0, 0])), 4)
    accepted = FeatureInputs("item", [field], tmp_path).accepted_numbers("query")
    for end in accepted["query_item_price"]:
        assert np.isfinite(np.float32(end) - np.float32(mean))
