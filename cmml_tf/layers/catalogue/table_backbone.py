"""Scores of a catalogue from what tables say of each item (backbone and its modulation)."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.sizes import positive

_LOWEST, _HIGHEST = -3.0, 12.0
_FIRST_WEIGHT = 0.3


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class TableBackbone(tf.keras.layers.Layer):
    """score_i = sum_k a_k(C) f_ik + v . relu(W g(f_i) + b + U C), for every item i.

    The context sets the weights a of the tables (a linear modulation of one hidden layer) and the
    offsets U C of the hidden units; g(x) = sign(x) log(1 + |x|), x cut to [-3, 12].

    Args:
      weight_units: Hidden units of a(C).
      item_units: Hidden units of an item.
    """

    def __init__(self, weight_units: int, item_units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._units = positive(weight_units=weight_units, item_units=item_units)
        self.read_context = tf.keras.layers.Dense(weight_units, "tanh", name="read_context")
        self.offset = tf.keras.layers.Dense(item_units, name="offset")

    def build(self, features: Any, context: Any = None) -> None:
        self._shapes = {"features": list(features), "context": list(context)}
        K, H = features[1], self._units["item_units"]
        self.table_weights = tf.keras.layers.Dense(
            K,
            kernel_initializer="zeros",
            bias_initializer=tf.keras.initializers.Constant(_FIRST_WEIGHT),
            name="table_weights",
        )
        build_named(self.read_context, context)
        build_named(self.table_weights, [None, self._units["weight_units"]])
        build_named(self.offset, context)
        self.item_kernel = self.add_weight(name="item_kernel", shape=[K, H])
        self.output_kernel = self.add_weight(name="output_kernel", shape=[H], initializer="zeros")
        super().build(features)

    def weights_of(self, context: tf.Tensor) -> tf.Tensor:
        """a(C), float32 [B, K]."""
        return self.table_weights(self.read_context(context))

    def call(self, features: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
        """f [B, K, I], C [B, D] -> score float32 [B, I]."""
        weights = self.weights_of(context)[:, None, :]
        linear = tf.squeeze(tf.matmul(weights, features), axis=1)
        cut = tf.clip_by_value(features, _LOWEST, _HIGHEST)
        squashed = tf.sign(cut) * tf.math.log1p(tf.abs(cut))
        # Items stand in a row all along: nothing is transposed.
        hidden = tf.matmul(self.item_kernel, squashed, transpose_a=True)  # [B, H, I]
        hidden = tf.nn.relu(hidden + self.offset(context)[:, :, None])
        return linear + tf.squeeze(tf.matmul(self.output_kernel[None], hidden), axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._units}

    def get_build_config(self) -> dict[str, Any]:
        return self._shapes

    def build_from_config(self, config: dict[str, Any]) -> None:
        self.build(config["features"], config["context"])
