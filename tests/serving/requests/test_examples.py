"""`serving_tf_example`: the same scores from serialized Examples."""

import numpy as np
import pytest
import tensorflow as tf
from serving_cases import (
    ITEM_IDS,
    ITEMS,
    SMALL_POOLING,
    USER_IDS,
    USERS,
    call,
    filled_model,
    request_by_id,
)
from tensorflow.core.protobuf import saved_model_pb2

from cmml_tf.config import ModelConfig
from cmml_tf.serving.export import export_model
from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.signatures import serving_signatures
from cmml_tf.serving.vocabulary import vocabulary

CONFIG = ModelConfig(encoder_units=8, hyper_units=8, backbone_units=(8, 8))


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return export_model(filled_model(CONFIG), tmp_path_factory.mktemp("ex"), USER_IDS, ITEM_IDS)


@pytest.fixture(scope="module")
def loaded(version):
    return tf.saved_model.load(str(version))


@pytest.fixture(scope="module")
def served(loaded):
    return loaded.signatures


def feature(values):
    values = np.asarray(values)
    if values.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    if values.dtype.kind == "i":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    encoded = [text.encode() for text in values.tolist()]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))


def example(**features):
    return tf.train.Example(
        features=tf.train.Features(feature={name: feature(v) for name, v in features.items()})
    )


def task(inputs, row=0, place=0):
    """One query pair of a request with its support, as an Example's features."""
    length = inputs["support_length"][row]
    names = ("support_user_id", "support_item_id", "support_label")
    support = {name: inputs[name][row, :length] for name in names}
    query = {name: inputs[name][row, place : place + 1] for name in inputs if "query" in name}
    return support | query


def ask(served, *examples):
    serialized = tf.constant([one.SerializeToString() for one in examples])
    return served["serving_tf_example"](inputs=serialized)["outputs"].numpy()


def test_examples_with_supports_of_any_length_score_as_the_default_signature(served):
    inputs = request_by_id(B=5, S=6, Q=3)
    inputs["support_length"] = np.array([6, 0, 3, 1, 6], np.int32)
    expected = call(served["serving_default"], inputs)["score"]
    examples = [example(**task(inputs, row, place)) for row in range(5) for place in range(3)]
    np.testing.assert_allclose(ask(served, *examples), expected.ravel(), rtol=0, atol=1e-6)


def test_examples_without_any_support_are_scored(served):
    expected = request_by_id(B=1, S=1, Q=1)
    expected["support_length"][:] = 0
    query = {name: expected[name][0] for name in ("query_user_id", "query_item_id")}
    np.testing.assert_allclose(
        ask(served, example(**query)), call(served["serving_default"], expected)["score"][0]
    )


def test_only_this_signature_is_of_the_regress_api(version):
    saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    methods = {
        name: signature.method_name
        for name, signature in saved.meta_graphs[0].signature_def.items()
        if not name.startswith("__")
    }
    assert methods.pop("serving_tf_example") == "tensorflow/serving/regress"
    assert set(methods.values()) == {"tensorflow/serving/predict"}


def test_string_users_and_integer_items_are_read_as_such(tmp_path):
    names = [f"user {row}" for row in range(USERS)]
    ids = (names, list(range(ITEMS)))
    tables = vocabulary("user_ids", names, USERS), vocabulary("item_ids", ids[1], ITEMS)
    graph = ServingGraph(filled_model(SMALL_POOLING), *tables, tmp_path)  # its tables must live
    served = serving_signatures(graph)
    inputs = request_by_id(B=2, Q=1, user_ids=ids[0], item_ids=ids[1])
    expected = call(served["serving_default"], inputs)["score"].ravel()
    scores = ask(served, *(example(**task(inputs, row)) for row in range(2)))
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)


REFUSED = {
    "no query item": ({"query_item_id": None}, "query_item_id"),
    "query user of another type": ({"query_user_id": ["70"]}, "query_user_id"),
    "two query items": ({"query_item_id": ["film a ü", "film b ü"]}, "query_item_id"),
    "support items of another type": ({"support_item_id": [1, 2]}, "support_item_id"),
    "fewer labels": (
        {"support_label": [1.0]},
        "`support_label` must hold as many values as `support_user_id` in each Example. "
        "Received: 1 for 5",
    ),
    "no support users": (
        {"support_user_id": None},
        "`support_item_id` must hold as many values as .* Received: 5 for 0",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_example_is_refused_by_the_name_of_its_feature(served, change, sentence):
    features = {**task(request_by_id()), **change}
    wrong = example(**{name: values for name, values in features.items() if values is not None})
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        ask(served, example(**task(request_by_id())), wrong)


def test_an_example_with_a_wrong_label_gets_nan_unless_none_is_right(served):
    inputs = request_by_id(B=2)
    right, wrong = task(inputs, 0), {**task(inputs, 1), "support_label": [1.0, np.nan, 0, 0, 0]}
    alone = ask(served, example(**right))
    scores = ask(served, example(**wrong), example(**right), example(**wrong))
    assert np.isnan(scores).tolist() == [True, False, True]
    np.testing.assert_allclose(scores[1], alone[0], rtol=0, atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`support_label` must be finite"):
        ask(served, example(**wrong))


def test_no_example_and_no_proto_are_refused(served):
    signature = served["serving_tf_example"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="`inputs` must hold an Example"):
        signature(inputs=tf.constant([], tf.string))
    with pytest.raises(tf.errors.InvalidArgumentError, match="parse"):
        signature(inputs=tf.constant(["no proto"]))
