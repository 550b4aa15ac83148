"""Layers in the configuration of what holds them."""

from typing import Any

import tensorflow as tf

serialize = tf.keras.utils.serialize_keras_object
"""A layer or a registered function as plain data; None stays None."""


def deserialized(config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor: what `serialize` made plain data of is made again."""
    return {
        name: tf.keras.utils.deserialize_keras_object(value)
        if isinstance(value, dict) and "class_name" in value
        else value
        for name, value in config.items()
    }
