"""The gate refuses what adapts by gradients, trains, counts or calls Python."""

import shutil

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from cmml_tf.serving.feed_forward import check_feed_forward

VECTOR = [tf.TensorSpec([None, 2], tf.float32, "x")]


class Plain(tf.Module):
    """Two weights and no adaptation."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(tf.ones([2, 1]))
        self.v = tf.Variable(tf.ones([1, 1]))

    def scores(self, x, w):
        return tf.matmul(tf.nn.relu(tf.matmul(x, w)), self.v)

    @tf.function(input_signature=VECTOR)
    def serve(self, x):
        return {"score": self.scores(x, self.w)}


class InnerStep(Plain):
    """One step of MAML before the scores."""

    @tf.function(input_signature=VECTOR)
    def serve(self, x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.scores(x, self.w) - 1.0))
        return {"score": self.scores(x, self.w - 0.1 * tape.gradient(loss, self.w))}


class LinearInnerStep(Plain):
    """The same on a network without nonlinearity, whose gradient is made of plain products."""

    @tf.function(input_signature=VECTOR)
    def serve(self, x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.matmul(x, self.w))
        return {"score": tf.matmul(x, self.w - 0.1 * tape.gradient(loss, self.w))}


class TrackedKerasGru(Plain):
    """A Keras layer that brings functions for training along."""

    def __init__(self):
        super().__init__()
        self.gru = tf.keras.layers.GRU(2)

    @tf.function(input_signature=VECTOR)
    def serve(self, x):
        return {"score": self.gru(x[:, None])}


class Counting(Plain):
    """Counts its requests."""

    def __init__(self):
        super().__init__()
        self.requests = tf.Variable(0)

    @tf.function(input_signature=VECTOR)
    def serve(self, x):
        self.requests.assign_add(1)
        return {"score": self.scores(x, self.w)}


class CountingAside(Plain):
    """Answers plainly, but carries a function that no signature calls and that assigns."""

    @tf.function(input_signature=[])
    def reset(self):
        self.w.assign(tf.zeros([2, 1]))


class ScatteredUpdate(Plain):
    @tf.function(input_signature=VECTOR)
    def serve(self, x):
        self.w.scatter_update(tf.IndexedSlices(x[:1, :1], [0]))
        return {"score": self.scores(x, self.w)}


class OptimiserStep(Plain):
    @tf.function(input_signature=VECTOR)
    def serve(self, x):
        tf.raw_ops.ResourceApplyGradientDescent(
            var=self.w.handle, alpha=0.1, delta=tf.ones_like(self.w)
        )
        return {"score": self.scores(x, self.w)}


class CustomGradient(Plain):
    """Registers a gradient of its own."""

    @tf.function(input_signature=VECTOR)
    def serve(self, x):
        @tf.custom_gradient
        def doubled(values):
            return 2.0 * values, lambda upstream: upstream

        return {"score": doubled(self.scores(x, self.w))}


class PythonCallback(Plain):
    @tf.function(input_signature=VECTOR)
    def serve(self, x):
        scores = tf.py_function(lambda values: values, [self.scores(x, self.w)], tf.float32)
        return {"score": tf.ensure_shape(scores, [None, 1])}


class NumpyCallback(Plain):
    @tf.function(input_signature=VECTOR)
    def serve(self, x):
        return {"score": tf.numpy_function(lambda values: values, [x], tf.float32)}


OFFENDERS = {
    InnerStep: "computes a gradient",
    LinearInnerStep: "computes a gradient",
    TrackedKerasGru: "belongs to a gradient",
    Counting: "`AssignAddVariableOp` .* changes state",
    CountingAside: "`AssignVariableOp` .* changes state",
    ScatteredUpdate: "`ResourceScatterUpdate` .* changes state",
    OptimiserStep: "`ResourceApplyGradientDescent` .* (gradient|optimiser)",
    CustomGradient: "belongs to a gradient",
    PythonCallback: "`EagerPyFunc` .* calls Python",
    NumpyCallback: "`PyFunc` .* calls Python",
}


@pytest.mark.parametrize(
    ("offender", "reason"), OFFENDERS.items(), ids=lambda case: getattr(case, "__name__", "")
)
def test_what_is_not_a_forward_pass_is_refused_by_name(offender, reason, tmp_path):
    module = offender()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    with pytest.raises(ValueError, match=reason):
        check_feed_forward(tmp_path)


def test_a_plain_module_passes(tmp_path):
    module = Plain()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    check_feed_forward(tmp_path)


def test_an_operation_that_tensorflow_does_not_register_is_refused(tmp_path):
    module = Plain()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    path = tmp_path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    function = saved.meta_graphs[0].graph_def.library.function[0]
    function.node_def.add(name="mine", op="MyCompanysOp")
    path.write_bytes(saved.SerializeToString())
    with pytest.raises(ValueError, match=r"`MyCompanysOp` \('mine' in function .*server lacks it"):
        check_feed_forward(tmp_path)


def test_a_missing_or_damaged_saved_model_is_said_to_be_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="no SavedModel"):
        check_feed_forward(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(ValueError, match="cannot be parsed"):
        check_feed_forward(tmp_path)


def test_an_exported_model_passes_and_stays_checkable_where_it_is_copied(small_export, tmp_path):
    copied = shutil.copytree(small_export, tmp_path / "copy")
    check_feed_forward(copied)
