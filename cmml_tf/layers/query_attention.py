"""A hybrid context that attends: each query pair looks into the task's context vectors."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named, built_shape
from cmml_tf.layers.mlp import dense
from cmml_tf.layers.sizes import positive


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class QueryAttention(tf.keras.layers.Layer):
    """C_h from a context of K vectors: what attention from the pair embedding e reads of them.

    Not in the paper. With K vectors that an attention encoder has made of the support, a query pair
    attends to a summary of fixed size instead of to the support itself, so the context stays
    cacheable: C_h = s concat over heads of sum_k softmax_k(<e W_q, C_k W_k> / sqrt(u)) C_k W_v.

    Args:
      vectors: K.
      units: Width of C_h, divided among the heads.
      heads: Attention heads.
      scale: s. What is read is small at the start of training, and a modulation network that
        hardly sees it learns to do without.

    Raises:
      ValueError: A size is not positive, or `units` no multiple of `heads`.

    Example:

    >>> attend = QueryAttention(vectors=3, units=8, heads=2)
    >>> attend(tf.ones([2, 12]), tf.ones([2, 5, 6])).shape.as_list()
    [2, 5, 8]
    """

    def __init__(
        self, vectors: int, units: int = 128, heads: int = 4, scale: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        positive(vectors=vectors, units=units, heads=heads)
        if units % heads:
            raise ValueError(
                f"`units` must be a multiple of `heads`. Received: units={units}, heads={heads}."
            )
        self.vectors = vectors
        self.units = units
        self.heads = heads
        self.scale = scale
        self.query, self.key, self.value = (
            dense(units, name=name) for name in ("query", "key", "value")
        )

    def build(self, context_shape: Any, pair_shape: Any = None) -> None:
        width = int(context_shape[-1]) // self.vectors
        build_named(self.key, [None, None, width])
        build_named(self.value, [None, None, width])
        if pair_shape is not None:
            build_named(self.query, pair_shape)
        super().build(context_shape)

    def call(self, context: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
        """float32 [B, K D], [B, Q, d] -> float32 [B, Q, units]."""
        width = context.shape[-1] // self.vectors
        vectors = tf.reshape(context, [-1, self.vectors, width])  # [B, K, D]
        query = self._by_head(self.query(pairs))  # [B, heads, Q, u]
        key, value = self._by_head(self.key(vectors)), self._by_head(self.value(vectors))
        logits = tf.matmul(query, key, transpose_b=True) * (self.units // self.heads) ** -0.5
        read = self.scale * tf.matmul(tf.nn.softmax(logits), value)  # [B, heads, Q, u]
        shape = tf.concat([tf.shape(pairs)[:2], [self.units]], axis=0)
        return tf.reshape(tf.transpose(read, [0, 2, 1, 3]), shape)

    def _by_head(self, values: tf.Tensor) -> tf.Tensor:
        shape = tf.concat([tf.shape(values)[:2], [self.heads, self.units // self.heads]], axis=0)
        return tf.transpose(tf.reshape(values, shape), [0, 2, 1, 3])

    def output_width(self, context_dimension: int, pair_dimension: int) -> int:
        """Width of C_h, the modulation network's input."""
        del context_dimension, pair_dimension
        return self.units

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vectors": self.vectors,
            "units": self.units,
            "heads": self.heads,
            "scale": self.scale,
        }

    def get_build_config(self) -> dict[str, Any] | None:
        """Both shapes of `build`."""
        config = super().get_build_config()
        return config and {**config, "pair_shape": built_shape(self.query)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Creates the weights that a layer of this `get_build_config` has."""
        self.build(config["input_shape"], config["pair_shape"])
