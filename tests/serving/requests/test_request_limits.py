"""Requests that are too large, or of the wrong rank, are refused before any work."""

import json
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from serving_cases import ITEM_IDS, SMALL_POOLING, USER_IDS, filled_model
from serving_cases import request_by_id as request
from tensorflow.core.protobuf import config_pb2

from cmml_tf.request_limits import RequestLimits
from cmml_tf.serving.export import export_model
from cmml_tf.serving.requests.task_groups import in_groups
from cmml_tf.serving.server.loading.servable import Servable
from cmml_tf.serving.server.status import ServingError

LIMITS = RequestLimits(support_pairs=8, query_pairs=10, tasks=3)
PREDICT = ("serving_default", "encode_context", "score_with_context", "recommend", "explain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("limits")
    return export_model(filled_model(SMALL_POOLING), base, USER_IDS, ITEM_IDS, limits=LIMITS)


@pytest.fixture(scope="module")
def served(folder):
    """As a server runs it: nothing compares a request with the signature."""
    return Servable("cmml", 1, str(folder), ["serve"])


def ask(served, signature, inputs):
    names = served.signature(signature).inputs
    inputs = {
        name: np.array(value, object) if value.dtype.kind == "U" else value
        for name, value in inputs.items()
        if name in names
    }
    return served.run(signature, inputs)


def sized(B=1, S=2, Q=2):
    inputs = request(B, S, Q)
    inputs["user_id"] = inputs["support_user_id"][:, 0].copy()
    inputs["context"] = np.zeros([B, 8], np.float32)
    return inputs


SUPPORT = {"serving_default", "encode_context", "recommend", "explain"}
QUERY = {"serving_default", "score_with_context", "explain"}
IN_ALL = "query pairs in all tasks together with the padding to the longest"
TOO_LARGE = {
    "support": ({"S": 9}, SUPPORT, "at most 8 support pairs a task, which"),
    "query": ({"Q": 11}, QUERY, "at most 10 query pairs a task, which"),
    "tasks": ({"B": 4}, set(PREDICT), "at most 3 tasks, which"),
    "explained": ({"B": 2, "Q": 6}, {"explain"}, f"at most 10 {IN_ALL}, which is"),
}


@pytest.mark.parametrize(("sizes", "refuse", "sentence"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_request_beyond_a_limit_is_refused(served, sizes, refuse, sentence):
    for signature in PREDICT:
        if signature in refuse:
            with pytest.raises(ServingError, match=sentence):
                ask(served, signature, sized(**sizes))
        else:
            assert ask(served, signature, sized(**sizes))["valid"].all()


def test_the_largest_request_is_answered(served):
    inputs = sized(B=3, S=8, Q=10)
    for signature in set(PREDICT) - {"explain"}:
        assert ask(served, signature, inputs)["valid"].all()
    assert ask(served, "explain", sized(B=1, S=8, Q=10))["valid"].all()


def example(count):
    ids = {"user": tf.train.Int64List(value=[70] * count)}
    items = tf.train.BytesList(value=[ITEM_IDS[0].encode()] * count)
    features = {
        "support_user_id": tf.train.Feature(int64_list=ids["user"]),
        "support_item_id": tf.train.Feature(bytes_list=items),
        "support_label": tf.train.Feature(float_list=tf.train.FloatList(value=[1] * count)),
        "query_user_id": tf.train.Feature(int64_list=tf.train.Int64List(value=[70])),
        "query_item_id": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[ITEM_IDS[1].encode()])
        ),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def test_examples_have_the_same_limits(served):
    def regress(*counts):
        inputs = {"inputs": np.array([example(count) for count in counts], object)}
        return served.run("serving_tf_example", inputs)["outputs"]

    assert np.isfinite(regress(8, 0, 3)).all()
    with pytest.raises(ServingError, match=r"at most 8 support pairs a task, .* Received: 9"):
        regress(0, 9)
    with pytest.raises(ServingError, match=r"at most 3 Examples, .* Received: 4"):
        regress(1, 1, 1, 1)


def test_the_manifest_and_the_warm_up_keep_the_limits(folder):
    manifest = json.loads((folder / "assets.extra" / "cmml_manifest.json").read_text())
    assert manifest["limits"]["support_pairs"] == 8
    assert manifest["limits"]["query_pairs_of_a_call"] == 30


@pytest.mark.parametrize("name", ["support_pairs", "query_pairs", "tasks"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_a_limit_must_be_a_positive_integer(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive integer"):
        RequestLimits(**{name: value})


RANKS = {
    "label of rank 3": ("support_label", (1, 2, 1)),
    "label of rank 1": ("support_label", (2,)),
    "length as a scalar": ("support_length", ()),
    "length of rank 2": ("support_length", (1, 1)),
    "users of rank 1": ("support_user_id", (2,)),
    "query items of rank 3": ("query_item_id", (1, 2, 1)),
    "context of rank 1": ("context", (8,)),
    "user of rank 2": ("user_id", (1, 1)),
}


@pytest.mark.parametrize(("name", "shape"), RANKS.values(), ids=RANKS)
def test_a_tensor_of_another_rank_is_named(served, name, shape):
    inputs = sized()
    inputs[name] = inputs[name].reshape(shape)
    shown = f"[{', '.join(map(str, shape))}]"
    asked = [one for one in PREDICT if name in served.signature(one).inputs]
    for signature in asked:
        with pytest.raises(ServingError) as refused:
            ask(served, signature, inputs)
        assert f"`{name}` must have " in str(refused.value)
        assert f"Received: shape {shown}." in str(refused.value)
    assert asked


@pytest.fixture(scope="module")
def callables(folder):
    """As TensorFlow Serving runs it: one graph, rewritten by what the signatures declare.

    `callables(name)`: the inputs of a signature, and what takes them.
    """
    run = tf.compat.v1.Session(graph=tf.Graph())
    with run.graph.as_default():
        loaded = tf.compat.v1.saved_model.load(run, ["serve"], str(folder))

    @cache
    def made(name):
        signature = loaded.signature_def[name]
        options = config_pb2.CallableOptions(
            feed=[tensor.name for tensor in signature.inputs.values()],
            fetch=[tensor.name for tensor in signature.outputs.values()],
        )
        # `run` itself compares what is fed with the placeholder, which a server does not.
        return [*signature.inputs], run._make_callable_from_options(options)

    yield made
    run.close()


@pytest.mark.parametrize(("name", "shape"), RANKS.values(), ids=RANKS)
def test_what_the_signature_declares_of_a_rank_is_not_believed(callables, name, shape):
    inputs = sized()
    inputs[name] = inputs[name].reshape(shape)
    asked = [made for made in map(callables, PREDICT) if name in made[0]]
    assert asked
    for names, call in asked:
        with pytest.raises(tf.errors.InvalidArgumentError) as refused:
            call(*(inputs[one] for one in names))
        assert f"`{name}` must have " in str(refused.value)
        assert f"Received: shape [{', '.join(map(str, shape))}]." in str(refused.value)


@pytest.mark.parametrize("tasks", [0, 1, 3, 4, 7])
def test_tasks_in_groups_have_the_answers_of_all_at_once(tasks):
    def double(numbers, texts):
        return 2 * numbers, tf.strings.upper(texts)

    numbers = tf.reshape(tf.range(2 * tasks), [tasks, 2])
    texts = tf.strings.as_string(numbers)
    specs = [tf.TensorSpec([None, 2], kind) for kind in (tf.int32, tf.string)]

    @tf.function(autograph=False)
    def grouped(numbers, texts):
        return in_groups(double, [numbers, texts], 3, specs)

    for ours, expected in zip(grouped(numbers, texts), double(numbers, texts), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_call_that_is_computed_in_groups_scores_as_each_task_alone(small_export):
    served = Servable("cmml", 1, str(small_export), ["serve"])
    inputs = sized(B=3, S=4, Q=40_000)
    together = ask(served, "serving_default", inputs)["score"]
    for row in range(3):
        alone = ask(served, "serving_default", {n: v[row : row + 1] for n, v in inputs.items()})
        np.testing.assert_allclose(together[row], alone["score"][0], rtol=0, atol=1e-5)
    with pytest.raises(ServingError, match="at most 4096 support pairs a task"):
        ask(served, "encode_context", {
            name: np.broadcast_to(value[:1, :1], [1, 2**23]) if value.ndim == 2 else value[:1]
            for name, value in inputs.items()
        })  # fmt: skip
