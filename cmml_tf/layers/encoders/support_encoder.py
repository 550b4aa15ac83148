"""What all context encoders share: labelled support pairs and a mask in, one context out."""

from abc import abstractmethod
from typing import Any

import tensorflow as tf


class SupportEncoder(tf.keras.layers.Layer):
    """A context encoder; a subclass says in `encode` how.

    Args:
      context_dimension: D.
    """

    def __init__(self, context_dimension: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.context_dimension = context_dimension
        self.supports_masking = True

    def call(
        self, pairs: tf.Tensor, mask: tf.Tensor | None = None, training: bool | None = None
    ) -> tf.Tensor:
        """float32 [B, S, d + f], bool [B, S]; None: all are valid -> context float32 [B, D]."""
        if mask is None:
            mask = tf.ones(tf.shape(pairs)[:2], tf.bool)
        return self.encode(pairs, mask, training)

    @abstractmethod
    def encode(self, pairs: tf.Tensor, mask: tf.Tensor, training: bool | None) -> tf.Tensor:
        """float32 [B, S, d + f], bool [B, S] -> context float32 [B, D]."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """The context has no sequence axis, so no mask leaves the layer."""
        del inputs, mask
