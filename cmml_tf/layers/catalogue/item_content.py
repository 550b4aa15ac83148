"""What an item in no table is worth by its content (backbone and its modulation)."""

from typing import Any, NamedTuple

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.sizes import positive

_FIRST_WEIGHT = 0.3


class ContentWeights(NamedTuple):
    """An item of content x has the score <weights, x> + offset beside that of its level.

    Attributes:
      of_tables: float32 [B, K], what the context weighs the sums of the tables with.
      of_popularity: float32 [B, 1], the popularity that content foretells, likewise.
      offset: float32 [B, 1].
      weights: float32 [B, w].
    """

    of_tables: tf.Tensor
    of_popularity: tf.Tensor
    offset: tf.Tensor
    weights: tf.Tensor


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ItemContent(tf.keras.layers.Layer):
    """W = sum_k a_k(C) f_k + a_p(C) m: the context weighs what content foretells of an item.

    f_k are the sums of table k by the numbers of content, and m its popularity by them. So all
    items of a catalogue cost one product with W.

    Args:
      weight_units: Hidden units of a(C).
    """

    def __init__(self, weight_units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        positive(weight_units=weight_units)
        self.weight_units = weight_units
        self.read_context = tf.keras.layers.Dense(weight_units, "tanh", name="read_context")
        self.offset = tf.keras.layers.Dense(1, kernel_initializer="zeros", name="offset")

    def build(self, sums: Any, context: Any = None) -> None:
        self._shapes = {"sums": list(sums), "context": list(context)}
        self.amounts = tf.keras.layers.Dense(
            sums[1] + 1,
            kernel_initializer="zeros",
            bias_initializer=tf.keras.initializers.Constant(_FIRST_WEIGHT),
            name="amounts",
        )
        build_named(self.read_context, context)
        for part in (self.amounts, self.offset):
            build_named(part, [None, self.weight_units])
        super().build(sums)

    def call(self, sums: tf.Tensor, context: tf.Tensor, popularity: tf.Tensor) -> ContentWeights:
        """f [B, K, w], C [B, D], m [B, w] -> W."""
        read = self.read_context(context)
        amounts = self.amounts(read)
        of_tables, of_popularity = amounts[:, :-1], amounts[:, -1:]
        weights = tf.squeeze(tf.matmul(of_tables[:, None], sums), axis=1)
        weights += of_popularity * popularity
        return ContentWeights(of_tables, of_popularity, self.offset(read), weights)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight_units": self.weight_units}

    def get_build_config(self) -> dict[str, Any]:
        return self._shapes

    def build_from_config(self, config: dict[str, Any]) -> None:
        self.build(config["sums"], config["context"])
