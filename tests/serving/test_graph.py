"""What a request to the served graph computes, and how a wrong one is refused."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from serving_cases import ITEM_IDS, ITEMS, SMALL_POOLING, USER_IDS, USERS, call, filled_model
from serving_cases import request_by_id as request

from cmml_tf.config import ModelConfig
from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.signatures import serving_signatures
from cmml_tf.serving.vocabulary import vocabulary

CONFIGS = {
    "gru-film": ModelConfig(encoder_units=8, hyper_units=8, backbone_units=(8, 8)),
    "max-soft": replace(SMALL_POOLING, encoder="max", modulation="soft", modules=2, hybrid="mlp"),
    "positives-linear": replace(
        SMALL_POOLING, positives_only=True, modulation="linear", hybrid="none"
    ),
    "interleaved-film-head": replace(
        SMALL_POOLING,
        encoder="gru",
        gru_state="mean",
        support_order="interleaved",
        affinity=True,
        head="ridge",
        ridge_features=3,
    ),
    "attention": replace(SMALL_POOLING, encoder="attention", context_vectors=2, hybrid="attention"),
    "no-context": ModelConfig(
        encoder="none", modulation="none", hybrid="none", backbone_units=(8, 8)
    ),
}
GRU = "gru-film"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """By configuration: the model, its graph (whose tables must live), its signatures."""
    cases = {}
    for name, config in CONFIGS.items():
        model = filled_model(config)
        graph = ServingGraph(
            model,
            vocabulary("user_ids", USER_IDS, USERS),
            vocabulary("item_ids", ITEM_IDS, ITEMS),
            tmp_path_factory.mktemp("vocabulary"),
        )
        cases[name] = model, graph, serving_signatures(graph)
    return cases


@pytest.fixture(params=CONFIGS)
def signatures(served, request):
    return served[request.param][2]


def test_unknown_ids_have_the_zero_embedding_and_are_reported(served):
    model, _, signatures = served[GRU]
    inputs = request(B=1, S=3, Q=3)
    inputs["query_user_id"] = np.array([[70, 12345, 70]])
    inputs["query_item_id"] = np.array([["film b ü", "film b ü", "film z"]])
    answer = call(signatures["serving_default"], inputs)
    assert answer["query_known"].tolist() == [[True, False, False]]
    context = call(signatures["encode_context"], inputs)["context"]
    rows = tf.constant([[0, USERS, 0]]), tf.constant([[1, 1, ITEMS]])
    np.testing.assert_allclose(
        answer["score"], model.score_with_context(context, *rows), rtol=0, atol=1e-6
    )


def test_support_known_counts_pairs_with_both_ids_known_within_the_length(signatures):
    inputs = request(B=3, S=4)
    inputs["support_user_id"][0, 0] = 555
    inputs["support_item_id"][1, 1] = "nobody's film"
    inputs["support_item_id"][2, 3] = "nobody's film"
    inputs["support_length"] = np.array([4, 2, 3], np.int32)
    known = call(signatures["encode_context"], inputs)["support_known"]
    assert known.tolist() == [3, 1, 3]


def test_what_lies_behind_the_length_is_never_read(signatures):
    inputs = request(B=1, S=7)
    inputs["support_length"][:] = 5
    expected = call(
        signatures["serving_default"],
        {
            name: value[:, :5] if value.ndim == 2 and "support" in name else value
            for name, value in inputs.items()
        },
    )
    for user, item, label in ((70, "film a ü", np.nan), (-1, "", np.inf), (0, "film i ü", 1.0)):
        inputs["support_user_id"][:, 5:] = user
        inputs["support_item_id"][:, 5:] = item
        inputs["support_label"][:, 5:] = label
        answer = call(signatures["serving_default"], inputs)
        np.testing.assert_allclose(answer["score"], expected["score"], rtol=0, atol=1e-6)


def test_scores_after_an_empty_support_set_are_finite(signatures):
    inputs = request(B=2, S=1)
    inputs["support_length"][:] = 0
    inputs["support_label"][:] = np.nan
    answer = call(signatures["serving_default"], inputs)
    assert np.isfinite(answer["score"]).all()
    np.testing.assert_array_equal(
        call(signatures["encode_context"], inputs)["support_known"], [0, 0]
    )


def test_encoding_then_scoring_equals_the_default_signature(signatures):
    inputs = request()
    context = call(signatures["encode_context"], inputs)["context"]
    both = call(signatures["score_with_context"], {**inputs, "context": context})
    alone = call(signatures["serving_default"], inputs)
    np.testing.assert_allclose(both["score"], alone["score"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(both["query_known"], alone["query_known"])


def test_scores_do_not_depend_on_what_a_request_is_batched_with(signatures):
    """A server merges requests by repeating the FIRST element of each up to the longest."""
    requests = [request(1, S, Q, seed=S) for S, Q in ((3, 2), (6, 5), (1, 1), (40, 4))]
    merged = {}
    for name in requests[0]:
        values = [single[name] for single in requests]
        if values[0].ndim == 2:
            width = max(value.shape[1] for value in values)
            values = [
                np.concatenate(
                    [value, np.full([1, width - value.shape[1]], value[0, 0])], 1
                ).astype(value.dtype)
                for value in values
            ]
        merged[name] = np.concatenate(values)
    scores = call(signatures["serving_default"], merged)["score"]
    for row, single in zip(scores, requests, strict=True):
        expected = call(signatures["serving_default"], single)["score"][0]
        np.testing.assert_allclose(row[: len(expected)], expected, rtol=0, atol=1e-6)


EXPLAINED = {
    "gru-film": {f"{kind}_{layer}": (2, 4, 8) for kind in ("scale", "shift") for layer in (1, 2)},
    "max-soft": {"route_1": (2, 4, 2, 2), "route_2": (2, 4, 2, 1)},
    "positives-linear": {"output_weight": (2, 1, 8), "output_bias": (2, 1, 1)},
    "interleaved-film-head": {
        **{f"{kind}_{layer}": (2, 4, 8) for kind in ("scale", "shift") for layer in (1, 2)},
        "ridge_weight": (2, 1, 4),
    },
    "attention": {f"{kind}_{layer}": (2, 4, 8) for kind in ("scale", "shift") for layer in (1, 2)},
    "no-context": {},
}


@pytest.mark.parametrize(("name", "shapes"), EXPLAINED.items(), ids=EXPLAINED)
def test_explain_gives_scores_context_and_modulation(served, name, shapes):
    model, _, signatures = served[name]
    inputs = request()
    answer = call(signatures["explain"], inputs)
    for key, signature in (("score", "serving_default"), ("context", "encode_context")):
        expected = call(signatures[signature], inputs)[key]
        np.testing.assert_allclose(answer.pop(key), expected, rtol=0, atol=1e-6)
    assert answer.pop("valid").all()
    assert {key: value.shape for key, value in answer.items()} == shapes
    rows = [
        [[ids.index(value) for value in line] for line in inputs[key].tolist()]
        for ids, key in ((USER_IDS, "query_user_id"), (ITEM_IDS, "query_item_id"))
    ]
    context = call(signatures["encode_context"], inputs)["context"]
    expected = model.modulation(context, *map(tf.constant, rows)) if shapes else {}
    for key, value in expected.items():
        np.testing.assert_allclose(answer[key], value, rtol=0, atol=1e-6)


def test_labels_change_the_scores_of_a_model_with_context(served):
    signatures = served[GRU][2]
    inputs = request()
    flipped = {**inputs, "support_label": 1 - inputs["support_label"]}
    scores = [call(signatures["serving_default"], case)["score"] for case in (inputs, flipped)]
    assert np.abs(scores[0] - scores[1]).max() > 1e-4


def test_negatives_do_not_change_a_model_that_reads_positives_only(served):
    signatures = served["positives-linear"][2]
    inputs = request(B=1, S=6)
    inputs["support_label"][:] = [[1, 0, 1, 0, 0, 1]]
    positives = {
        name: value[:, [0, 2, 5]] if name.startswith("support") and value.ndim == 2 else value
        for name, value in inputs.items()
    }
    positives["support_length"] = np.array([3], np.int32)
    scores = [call(signatures["serving_default"], case)["score"] for case in (inputs, positives)]
    np.testing.assert_allclose(*scores, rtol=0, atol=1e-6)


REFUSED = {
    "length above S": (
        {"support_length": np.array([7, 6], np.int32)},
        r"`support_length` must lie between 0 and the number of support pairs \(S=5\). Received: 7",
    ),
    "negative length": (
        {"support_length": np.array([-1, -5], np.int32)},
        r"`support_length` must lie between 0 .* Received: -1",
    ),
    "lengths of other tasks": (
        {"support_length": np.array([5], np.int32)},
        r"`support_length` must have as many rows as `support_user_id` \(B=2\). Received: 1",
    ),
    "label NaN": (
        {"support_label": np.full([2, 5], np.nan, np.float32)},
        "`support_label` must be finite within `support_length`. Received: nan",
    ),
    "label infinite": (
        {"support_label": np.full([2, 5], -np.inf, np.float32)},
        "`support_label` must be finite within `support_length`. Received: -inf",
    ),
    "fewer labels": (
        {"support_label": np.ones([2, 3], np.float32)},
        r"`support_label` must have the shape of `support_user_id`, \[2, 5\]. Received: \[2, 3\]",
    ),
    "more items": (
        {"support_item_id": np.full([2, 6], "film a ü")},
        r"`support_item_id` must have the shape of `support_user_id`, \[2, 5\]",
    ),
    "query of other tasks": (
        {"query_user_id": np.zeros([3, 4], np.int64)},
        r"`query_user_id` must have as many rows as `support_user_id` \(B=2\). Received: 3",
    ),
    "query items of other shape": (
        {"query_item_id": np.full([2, 1], "film a ü")},
        r"`query_item_id` must have the shape of `query_user_id`, \[2, 4\]. Received: \[2, 1\]",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_request_is_refused_with_a_sentence(served, change, sentence):
    for _, _, signatures in served.values():
        with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
            call(signatures["serving_default"], {**request(), **change})


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        (np.full([2, 8], np.nan), "`context` must be finite. Received: nan"),
        (np.full([2, 8], np.inf), "`context` must be finite. Received: inf"),
        (np.zeros([2, 7]), r"`context` must be as wide as .* \(D=8\). Received: 7"),
        (np.zeros([1, 8]), r"`query_user_id` must have as many rows as `context` \(B=1\)"),
    ],
)
def test_a_wrong_context_is_refused_with_a_sentence(served, context, sentence):
    inputs = {**request(), "context": context.astype(np.float32)}
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        call(served[GRU][2]["score_with_context"], inputs)


def test_signatures_take_ids_in_the_vocabulary_s_type(served):
    inputs = served[GRU][2]["serving_default"].structured_input_signature[1]
    assert inputs["query_user_id"].dtype == tf.int64
    assert inputs["query_item_id"].dtype == tf.string


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        ([1, 2], "`user_ids` must hold one id for each of the 3 known rows"),
        ([1, 2, 1], "`user_ids` must be different from each other. Received twice: 1"),
        (["a", "b\nc", "d"], "without line breaks"),
        (["a", "b\r", "d"], "without line breaks"),
        (["a", "", "d"], "strings, not empty"),
        (["a", 1, "d"], "all integers or all strings"),
        ([1.5, 2.5, 3.5], "all integers or all strings"),
        ([True, False, True], "all integers or all strings"),
        ([1, 2, 2**63], "at most 64 bits"),
    ],
)
def test_ids_that_cannot_be_a_vocabulary_are_refused(ids, sentence):
    with pytest.raises(ValueError, match=sentence):
        vocabulary("user_ids", ids, 3)
