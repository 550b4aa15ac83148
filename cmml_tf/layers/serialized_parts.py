"""Layers in the configuration of what holds them."""

from typing import Any

import tensorflow as tf

serialize = tf.keras.utils.serialize_keras_object
"""A layer or a registered function as plain data; None stays None."""


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
