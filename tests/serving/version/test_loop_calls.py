"""What a loop of an export calls is run by an executor of one thread, where that one can."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from cmml_tf.serving.requests.task_groups import joined_in_a_loop, not_inlined
from cmml_tf.serving.version.loop_calls import run_loop_calls_in_order


class Looping(tf.Module):
    """A loop around a function that ends with another, and the same function called outside."""

    def __init__(self, end):
        super().__init__()
        self.table = tf.Variable(np.arange(6, dtype=np.float32))
        self.end = end

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="row")])
    def rows(self, row):
        @not_inlined
        def part(row):
            value = tf.gather(tf.convert_to_tensor(self.table), row)
            return (self.end(value)[:, None],)

        answer = tf.TensorSpec([None, 1], tf.float32)
        (looped,) = joined_in_a_loop(part, [row], 2, [answer])
        return {"looped": looped, "alone": part(row)[0]}


def executors(folder):
    """Of each call of a function that is not inlined: within a loop's body, and its executor."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    library = {one.signature.name: one for one in saved.meta_graphs[0].graph_def.library.function}
    for name, function in library.items():
        calls = [node for node in function.node_def if "PartitionedCall" in node.op]
        for node in calls:
            if library[node.attr["f"].func.name].attr["_noinline"].b:
                yield "body" in name, node.attr["executor_type"].s


def saved(end, folder):
    module = Looping(end)
    tf.saved_model.save(module, str(folder), signatures=module.rows)
    run_loop_calls_in_order(folder)
    return tf.saved_model.load(str(folder)).signatures["serving_default"]


def test_a_function_that_a_loop_calls_has_one_thread_and_answers_the_same(tmp_path):
    signature = saved(tf.negative, tmp_path)
    assert sorted(executors(tmp_path)) == [(False, b""), (True, b"SINGLE_THREADED_EXECUTOR")]
    answer = signature(row=tf.constant([4, 1, 5], tf.int64))
    np.testing.assert_array_equal(answer["looped"], [[-4.0], [-1.0], [-5.0]])
    np.testing.assert_array_equal(answer["alone"], [[-4.0], [-1.0], [-5.0]])


@pytest.mark.parametrize(
    "end",
    [
        lambda value: tf.cond(value[0] > 2.0, lambda: -value, lambda: value),
        tf.function(tf.negative),
    ],
    ids=["branches", "calls"],
)
def test_a_function_that_branches_or_calls_keeps_the_usual_executor(tmp_path, end):
    signature = saved(end, tmp_path)
    found = sorted(executors(tmp_path))
    assert found == [(False, b""), (True, b"")]
    answer = signature(row=tf.constant([4, 1, 5], tf.int64))
    np.testing.assert_array_equal(answer["looped"], [[-4.0], [-1.0], [-5.0]])
