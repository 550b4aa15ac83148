"""In an export nothing waits for a read, so that what is computed twice is found to be the same."""

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from cmml_tf.serving.version.idle_waits import drop_idle_waits
from cmml_tf.serving.version.whole_reads import read_whole_tables


class Doubled(tf.Module):
    """A part that is a function of its own, behind whose reads all of its answers wait."""

    def __init__(self):
        super().__init__()
        self.table = tf.Variable(np.arange(6, dtype=np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="row")])
    def rows(self, row):
        part = tf.function(lambda row: (row, tf.gather(self.table, row) + self.table[0]))
        same, value = part(row)
        tf.debugging.assert_less(row, tf.constant(6, tf.int64), "no such row")
        return {"row": same + 0, "value": 2.0 * value}


def functions(folder):
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0].graph_def.library.function


def waits(folder, reads):
    """How many control inputs and control outputs are reads, or are not."""
    count = 0
    for function in functions(folder):
        of = {node.name for node in function.node_def if node.op in ("ReadVariableOp", "GatherV2")}
        control = [one[1:] for node in function.node_def for one in node.input if one[0] == "^"]
        count += sum((name in of) == reads for name in [*control, *function.control_ret.values()])
    return count


def test_answers_are_the_same_and_checks_are_still_waited_for(tmp_path):
    module = Doubled()
    tf.saved_model.save(module, str(tmp_path), signatures=module.rows)
    read_whole_tables(tmp_path)
    others = waits(tmp_path, reads=False)
    assert waits(tmp_path, reads=True)
    assert others
    drop_idle_waits(tmp_path)
    assert not waits(tmp_path, reads=True)
    assert waits(tmp_path, reads=False) == others
    rows = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    row = tf.constant([4, 1], tf.int64)
    for name, value in module.rows(row).items():
        np.testing.assert_array_equal(rows(row=row)[name], value)
    with np.testing.assert_raises(tf.errors.InvalidArgumentError):
        rows(row=tf.constant([7], tf.int64))
