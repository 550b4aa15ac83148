"""Parts of a layer or a model: built with it, and part of its configuration."""

from typing import Any

import tensorflow as tf

serialize = tf.keras.utils.serialize_keras_object
"""A layer or a registered function as plain data; None stays None."""


def build_named(layer: tf.keras.layers.Layer, *shapes: Any) -> None:
    """Creates the weights of a part, unless they exist, under its name as a first call does.

    A layer that builds its parts by `part.build` leaves every `kernel` with the same name, and an
    HDF5 file has one place for a name.
    """
    if not layer.built:
        with tf.name_scope(layer.name):
            layer.build(*shapes)


def built_shape(layer: tf.keras.layers.Layer) -> Any:
    """The input shape that a layer was built for; None before."""
    return (layer.get_build_config() or {}).get("input_shape")


def deserialized(config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor: what `serialize` made plain data of is made again.

    A part has no weights yet: its holder creates them, under the part's name.
    """
    return {name: _part(value) if _is_part(value) else value for name, value in config.items()}


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) and "class_name" in value


def _part(config: dict[str, Any]) -> Any:
    unbuilt = {name: value for name, value in config.items() if name != "build_config"}
    return tf.keras.utils.deserialize_keras_object(unbuilt)
