"""Weights of an export are constants wherever they are read; tables and what is written are not."""

import numpy as np
import pytest
import tensorflow as tf
from serving_cases import call
from tensorflow.core.protobuf import saved_model_pb2

from cmml_tf.serving.version import frozen_weights
from cmml_tf.serving.version.frozen_weights import freeze_weights


class Layers(tf.Module):
    """Weights read in a call, a branch and a loop, one in several functions, and one written."""

    def __init__(self):
        super().__init__()
        values = np.random.default_rng(0).normal(size=(4, 2, 2)).astype(np.float32)
        self.weights = [tf.Variable(value) for value in values]
        self.large = tf.Variable(np.eye(2, dtype=np.float32))
        self.called = tf.function(lambda x: x @ self.weights[1], autograph=False)

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="x")], autograph=False)
    def score(self, x):
        first, _, third, written = self.weights

        def step(i, x):
            inner = tf.cond(i > 1, lambda: self.called(x), lambda: x @ third)
            return i + 1, inner @ first + self.large[0]

        _, looped = tf.while_loop(lambda i, _: i < 2 + tf.cast(first[0, 0] < 9, tf.int32), step,
                                  [0, x])  # fmt: skip
        written.assign_add(tf.ones([2, 2]))
        return {"looped": looped, "called": self.called(x), "read": first + third, "last": written}


@pytest.fixture(params=["all", "small"])
def module(request, monkeypatch):
    if request.param == "small":
        monkeypatch.setattr(frozen_weights, "LARGEST", 3)
    return Layers(), request.param


def reads(folder):
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    functions = saved.meta_graphs[0].graph_def.library.function
    own = [f for f in functions if "traced_" not in f.signature.name]
    return sum(node.op == "ReadVariableOp" for function in own for node in function.node_def)


def test_answers_are_the_same_and_only_what_must_be_is_still_a_variable(tmp_path, module):
    module, which = module
    first_values = [one.numpy() for one in module.weights]
    tf.saved_model.save(module, str(tmp_path), signatures=module.score)
    before = reads(tmp_path)
    freeze_weights(tmp_path, module.weights)
    loaded = tf.saved_model.load(str(tmp_path))
    # What is written, and what is not among the weights.
    assert reads(tmp_path) == (before if which == "small" else 2)
    x = np.float32([[1, 2], [3, -1], [0, 1]])
    for _ in range(2):
        answer = call(loaded.signatures["serving_default"], {"x": x})
        expected = module.score(tf.constant(x))
        assert answer.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(answer[name], value, rtol=1e-6)
    assert loaded.score(tf.constant(x)).keys() == answer.keys()
    for ours, value in zip(loaded.weights[:3], first_values[:3], strict=True):
        np.testing.assert_array_equal(ours, value)
