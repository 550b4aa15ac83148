"""Embedding tables whose rows may differ from task to task, only where a task touches them."""

from typing import NamedTuple

import tensorflow as tf

from cmml_tf.layers.feature_embedding import FieldEmbedding


class TaskRows(NamedTuple):
    """A task's own rows of one feature's table; all others are the table's.

    Attributes:
      row: int32 [B, N], ascending, the table's size standing for none; of equal ones the first
        counts.
      value: float32 [B, N, dimension].
    """

    row: tf.Tensor
    value: tf.Tensor


class Members(NamedTuple):
    """What the embeddings of pairs [B, N] are sums of.

    Attributes:
      row: int32 [m], rows of the feature's table.
      pair: int32 [m], which of the B * N pairs, ascending.
      weight: float32 [m].
      task: int32 [m].
    """

    row: tf.Tensor
    pair: tf.Tensor
    weight: tf.Tensor
    task: tf.Tensor


def members_of(field: FieldEmbedding, rows: tf.Tensor) -> Members:
    """Of catalogue rows int [B, N]."""
    row, pair, weight = field.members(tf.reshape(rows, [-1]))
    return Members(row, pair, weight, pair // tf.maximum(tf.shape(rows)[1], 1))


def rows_to_adapt(field: FieldEmbedding, members: Members, tasks: tf.Tensor) -> TaskRows:
    """The rows that the tasks' support pairs touch, with the table's values."""
    size = int(field.table.shape[0])
    listed = tf.RaggedTensor.from_value_rowids(members.row, members.task, tasks)
    listed = listed.to_tensor(default_value=size)
    # One place at the least, also where no pair has any member.
    row = tf.sort(tf.concat([listed, tf.fill([tasks, 1], size)], axis=1), axis=1)
    return TaskRows(row, tf.gather(field.table, tf.minimum(row, size - 1)))


def find(field: FieldEmbedding, own: TaskRows, members: Members) -> tuple[tf.Tensor, tf.Tensor]:
    """Where each member stands among its task's own rows, counted through, and whether it does."""
    stride = tf.constant(int(field.table.shape[0]) + 1, tf.int64)
    task = tf.range(tf.shape(own.row, tf.int64)[0], dtype=tf.int64)
    keys = tf.reshape(task[:, None] * stride + tf.cast(own.row, tf.int64), [-1])  # ascending
    wanted = tf.cast(members.task, tf.int64) * stride + tf.cast(members.row, tf.int64)
    place = tf.minimum(tf.searchsorted(keys, wanted), tf.size(keys) - 1)
    return place, tf.equal(tf.gather(keys, place), wanted)


def embed_members(values: tf.Tensor, members: Members, pairs: tf.Tensor) -> tf.Tensor:
    """Weighted sums of member values [m, dimension]: [B * N, dimension]."""
    return tf.math.unsorted_segment_sum(values * members.weight[:, None], members.pair, pairs)
