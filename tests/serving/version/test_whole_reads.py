"""An export reads its tables whole: one gather of a variable would make every read a copy."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from cmml_tf.serving.version.whole_reads import read_whole_tables

TABLE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


class Gathers(tf.Module):
    """Gathers of every kind, one in a branch and one in a loop."""

    def __init__(self):
        super().__init__()
        self.table = tf.Variable(TABLE)
        self.words = tf.Variable(["a", "b", "c"])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="row")])
    def rows(self, row):
        column = tf.stack([row, 2 - row], axis=1)  # [2, 2]
        shape = [tf.TensorShape([]), tf.TensorShape(None)]
        return {
            "rows": tf.gather(self.table, row),
            "batched": tf.gather(self.table, column, batch_dims=1),
            "nd": tf.gather_nd(self.table, column[:, :1]),
            "words": tf.gather(self.words, row),
            "branch": tf.cond(row[0] > 0, lambda: tf.gather(self.table, row), lambda: self.table),
            "loop": tf.while_loop(
                lambda i, _: i < 2,
                lambda i, total: (i + 1, total + tf.gather(self.table, i)),
                [0, tf.zeros([3, 4])],
                shape,
            )[1],
        }


def functions(folder):
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0].graph_def.library.function


def operations(folder):
    return {node.op for function in functions(folder) for node in function.node_def}


def most_reads(folder):
    """How often a function reads the same variable, at the most, where gathers did."""
    nodes = [[n for n in one.node_def if n.name.endswith("/read")] for one in functions(folder)]
    return max(
        Counter(n.input[0] for n in of_one).most_common(1)[0][1] for of_one in nodes if of_one
    )


@pytest.mark.parametrize("row", [[0, 1], [1, 0]])
def test_the_rows_are_the_same_and_no_gather_of_a_variable_is_left(tmp_path, row):
    module = Gathers()
    tf.saved_model.save(module, str(tmp_path), signatures=module.rows)
    assert {"ResourceGather", "ResourceGatherNd"} <= operations(tmp_path)
    read_whole_tables(tmp_path)
    assert not {"ResourceGather", "ResourceGatherNd"} & operations(tmp_path)
    # What two gathers of the same rows are computed of is then the same to who rewrites graphs.
    assert most_reads(tmp_path) == 1
    expected = module.rows(tf.constant(row, tf.int64))
    answer = tf.saved_model.load(str(tmp_path)).signatures["serving_default"](
        row=tf.constant(row, tf.int64)
    )
    assert answer.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(answer[name], value)
