"""Attention pooling: a parallel context encoder that keeps several vectors of a task."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.encoders.support_encoder import SupportEncoder
from cmml_tf.layers.mlp import MLP, dense
from cmml_tf.layers.sizes import positive


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class AttentionContextEncoder(SupportEncoder):
    """K context vectors, each a learned question that attends over all labelled support pairs.

    Not in the paper; pooling by attention with learned inducing points (Lee et al. 2019, "Set
    Transformer"). Each head of each point is a distribution over the valid pairs, so unlike a mean
    it can look at positives alone, or at one kind of item. The points and the projection of the
    keys count only by their product, and are one matrix here; pairs are pooled before the values'
    projection, which makes it cheap. An empty support pools to zeros.

    Args:
      vector_dimension: Width of a context vector.
      vectors: K.
      units: Hidden units of the MLP of each pair.
      heads: Distributions of each point.

    Raises:
      ValueError: A size is not positive.

    Example:

    >>> encoder = AttentionContextEncoder(vector_dimension=6, vectors=2, units=8)
    >>> encoder(tf.ones([1, 3, 4])).shape.as_list()
    [1, 12]
    """

    def __init__(
        self,
        vector_dimension: int,
        vectors: int = 4,
        units: int = 128,
        heads: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(vectors * vector_dimension, **kwargs)
        positive(vector_dimension=vector_dimension, vectors=vectors, units=units, heads=heads)
        self.vector_dimension = vector_dimension
        self.vectors = vectors
        self.units = units
        self.heads = heads
        self.pair_mlp = MLP([units, units], name="pair_mlp")
        self.points = dense(vectors * heads, name="points")
        self.vector_mlp = MLP([units, vector_dimension], name="vector_mlp")

    def build(self, input_shape: Any) -> None:
        build_named(self.pair_mlp, input_shape)
        build_named(self.points, [None, None, self.units])
        build_named(self.vector_mlp, [None, None, self.heads * self.units])
        super().build(input_shape)

    def encode(self, pairs: tf.Tensor, mask: tf.Tensor, training: bool | None) -> tf.Tensor:
        """float32 [B, S, d + f], bool [B, S] -> context float32 [B, K * vector_dimension]."""
        del training
        hidden = tf.nn.relu(self.pair_mlp(pairs))  # [B, S, units]
        attention = masked_softmax(self.points(hidden), mask)  # [B, S, K heads]
        pooled = tf.matmul(attention, hidden, transpose_a=True)  # [B, K heads, units]
        shape = [-1, self.vectors, self.heads * self.units]
        vectors = self.vector_mlp(tf.reshape(pooled, shape))
        return tf.reshape(vectors, [-1, self.context_dimension])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vector_dimension": self.vector_dimension,
            "vectors": self.vectors,
            "units": self.units,
            "heads": self.heads,
        }


def masked_softmax(logits: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax over the valid positions of axis 1: [B, S, N], bool [B, S] -> [B, S, N].

    Zero at the others, and everywhere where no position is valid.
    """
    mask = mask[..., None]
    weights = tf.nn.softmax(tf.where(mask, logits, logits.dtype.min), axis=1)
    return tf.where(mask, weights, 0.0)
