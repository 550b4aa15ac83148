"""The one precision that models are trained, exported and compared in."""

import tensorflow as tf


def require_float32(model: tf.keras.layers.Layer | None = None) -> None:
    """Refuses any dtype policy but float32, of Keras or of a layer in `model`.

    The recurrence, the closed forms and the signatures of an export say float32, and the embedding
    tables are most of a model's memory, so that half precision of the rest would gain little.

    Raises:
      ValueError: The policy is another one.
    """
    layers = [] if model is None else [model, *model.submodules]
    policies = [
        (layer.dtype_policy.name, f" of the layer {layer.name}")
        for layer in layers
        if isinstance(layer, tf.keras.layers.Layer)
        and not isinstance(layer, tf.keras.metrics.Metric)
    ]
    for policy, where in [*policies, (tf.keras.mixed_precision.global_policy().name, "")]:
        if policy != "float32":
            raise ValueError(
                "The dtype policy must be float32, in which models are trained and exported: "
                "`tf.keras.mixed_precision.set_global_policy('float32')`. "
                f"Received: {policy}{where}."
            )
