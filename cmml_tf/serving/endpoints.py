"""Endpoints that take one dictionary, beside the signatures, which take names only.

Keras 3's `TFSMLayer`, which asks `serve` unless told otherwise, and whoever calls the loaded
object, hand the inputs over as one argument.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

from cmml_tf.serving.signatures import EXAMPLE_SIGNATURE


def add_endpoints(
    graph: tf.Module, signatures: Mapping[str, tf.types.experimental.ConcreteFunction]
) -> None:
    """Gives a graph an attribute for each Predict signature, called as `graph.explain(inputs)`.

    `graph(inputs)`, `graph.score(inputs)` and `graph.serve(inputs)` are those of `serving_default`.

    Args:
      graph: What is saved.
      signatures: Its concrete functions by name.
    """
    for name, signature in signatures.items():
        if name != EXAMPLE_SIGNATURE:
            setattr(graph, name, _taking_dictionary(signature))
    graph.__call__ = graph.score = graph.serve = graph.serving_default


def _taking_dictionary(signature: tf.types.experimental.ConcreteFunction) -> Callable:
    specs = signature.structured_input_signature[1]
    return tf.function(
        lambda inputs: signature(**inputs), input_signature=[dict(specs)], autograph=False
    )
