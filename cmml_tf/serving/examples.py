"""Requests as serialized `tf.Example`s, which the Regress API sends.

Features of an Example, of the vocabulary's type (int64 or bytes) where they hold ids:

| feature | values |
| --- | --- |
| `support_user_id`, `support_item_id` | one for each support pair; none at all: no support |
| `support_label` | float, one for each support pair |
| `query_user_id`, `query_item_id` | one: the pair to score |

In an `ExampleListWithContext` the support (and the user) stand in the context, and each example
holds its `query_item_id` only.
"""

import tensorflow as tf

from cmml_tf.serving.request_checks import Tensors, checked_examples, checked_lists

_LISTS = ("support_user_id", "support_item_id", "support_label")
_SINGLE = ("query_user_id", "query_item_id")


def read_examples(serialized: tf.Tensor, user_dtype: tf.DType, item_dtype: tf.DType) -> Tensors:
    """Serialized Examples [N] -> the inputs of `serving_default` for N tasks with one query pair.

    Raises (in the graph):
      InvalidArgumentError: No Example, a feature of another type, a query id missing, or lists of
        unequal length.
    """
    dtypes = {"user": user_dtype, "item": item_dtype, "label": tf.float32}
    dtype_of = {name: dtypes[name.split("_")[1]] for name in _LISTS + _SINGLE}
    features = {name: tf.io.RaggedFeature(dtype_of[name]) for name in _LISTS}
    features |= {name: tf.io.FixedLenFeature([1], dtype_of[name]) for name in _SINGLE}
    serialized = checked_examples({"inputs": serialized})["inputs"]
    parsed = tf.io.parse_example(serialized, features)
    lengths = {name: parsed[name].row_lengths() for name in _LISTS}
    longest = tf.reduce_max([tf.reduce_max(length) for length in lengths.values()])
    shape = tf.stack([tf.size(serialized), tf.maximum(longest, 1)])
    inputs = {name: parsed[name].to_tensor(shape=shape) for name in _LISTS}
    inputs |= {name: parsed[name] for name in _SINGLE}
    inputs["support_length"] = lengths["support_user_id"]
    return checked_lists(inputs, lengths, "support_user_id")
