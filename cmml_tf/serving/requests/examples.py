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

from cmml_tf.request_limits import RequestLimits
from cmml_tf.serving.requests.checks import checked_examples, checked_lists
from cmml_tf.serving.requests.rules import Tensors

_LISTS = ("support_user_id", "support_item_id", "support_label")
_SINGLE = ("query_user_id", "query_item_id")


def read_examples(
    serialized: tf.Tensor, user_dtype: tf.DType, item_dtype: tf.DType, limits: RequestLimits
) -> Tensors:
    """Serialized Examples [N] -> the inputs of `serving_default` for N tasks with one query pair.

    Raises (in the graph):
      InvalidArgumentError: No Example, more of them or of support pairs than the limits, a feature
        of another type, a query id missing, or lists of unequal length.
    """
    dtypes = {"user": user_dtype, "item": item_dtype, "label": tf.float32}
    dtype_of = {name: dtypes[name.split("_")[1]] for name in _LISTS + _SINGLE}
    features = {name: tf.io.RaggedFeature(dtype_of[name]) for name in _LISTS}
    features |= {name: tf.io.FixedLenFeature([1], dtype_of[name]) for name in _SINGLE}
    serialized = checked_examples(serialized, limits)
    parsed = tf.io.parse_example(serialized, features)
    lengths = {name: parsed[name].row_lengths() for name in _LISTS}
    # Only now is it known how much memory the lists take side by side.
    parsed = checked_lists(parsed, lengths, limits)
    length = parsed["support_user_id"].row_lengths()
    shape = tf.stack([tf.size(serialized), tf.maximum(tf.reduce_max(length), 1)])
    inputs = {name: parsed[name].to_tensor(shape=shape) for name in _LISTS}
    return inputs | {name: parsed[name] for name in _SINGLE} | {"support_length": length}
