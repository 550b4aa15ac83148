"""Parts of a layer or a model that are built with it."""

from typing import Any

import tensorflow as tf


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
