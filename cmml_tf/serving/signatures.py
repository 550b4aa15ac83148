"""The signatures of the served model: names, types and shapes of a request and its answer.

B is the only axis a server splits or merges; every input has it. No input is optional.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from cmml_tf.serving.content_graph import ContentServingGraph
from cmml_tf.serving.graph import ServingGraph

EXAMPLE_SIGNATURE = "serving_tf_example"
FEATURE_SIGNATURE = "score_features"
REGRESS_METHOD = "tensorflow/serving/regress"

Specs = dict[str, tf.TensorSpec]


def serving_signatures(graph: ServingGraph) -> dict[str, Any]:
    """The concrete functions of a graph's signatures, by name, for `tf.saved_model.save`."""
    support, query = _support(graph), _query(graph)
    user = tf.TensorSpec([None], graph.user_id_dtype)
    # The width is left open: the graph itself then says which width it needs.
    context = {"context": tf.TensorSpec([None, None], tf.float32)}
    return {
        "serving_default": _signature(graph.serving_default, {**support, **query}),
        "encode_context": _signature(graph.encode_context, support),
        "score_with_context": _signature(graph.score_with_context, {**context, **query}),
        "recommend": _signature(graph.recommend, {**support, "user_id": user}),
        "explain": _signature(graph.explain, {**support, **query}),
        EXAMPLE_SIGNATURE: _signature(
            graph.serving_tf_example, {"inputs": tf.TensorSpec([None], tf.string)}
        ),
    }


def content_signature(graph: ContentServingGraph) -> dict[str, Any]:
    """The concrete function of `score_features`, by name."""
    specs = {**_support(graph), **_query(graph), **graph.feature_specs()}
    return {FEATURE_SIGNATURE: _signature(graph.score_features, specs)}


def name_methods(folder: Path) -> None:
    """Tells servers which signature is one of the Regress API; TensorFlow 2 says `predict` of all.

    Args:
      folder: A saved model with these signatures; changed in place.
    """
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
    updater.replace_method_name(EXAMPLE_SIGNATURE, REGRESS_METHOD, tags="serve")
    updater.save()


def _support(graph: ServingGraph) -> Specs:
    return {
        "support_user_id": tf.TensorSpec([None, None], graph.user_id_dtype),
        "support_item_id": tf.TensorSpec([None, None], graph.item_id_dtype),
        "support_label": tf.TensorSpec([None, None], tf.float32),
        "support_length": tf.TensorSpec([None], tf.int32),
    }


def _query(graph: ServingGraph) -> Specs:
    return {
        "query_user_id": tf.TensorSpec([None, None], graph.user_id_dtype),
        "query_item_id": tf.TensorSpec([None, None], graph.item_id_dtype),
    }


def _signature(method: Callable, specs: Specs) -> Any:
    named = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()}
    return tf.function(method, autograph=False).get_concrete_function(**named)
