"""Hybrid context: the task context made specific to each query pair (paper section 3.3)."""

from typing import Any

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class HybridContext(tf.keras.layers.Layer):
    """Equation 8: C_h from the task context C and the query pair's embedding e.

    Args:
      kind: `dot`: C_h = C * e, element-wise, which needs D = d (the paper's default), or for a
        context of K vectors D = K d: C_h = concat(C_1 * e, .., C_K * e);
        `mlp`: C_h = concat(e, C); `none`: C_h = C, one for all pairs of a task.
      scale: `dot`: what C * e is multiplied with (the paper's 1). Elements of an embedding and of
        an untrained context are well below 1, and their product far below.

    Raises:
      ValueError: `kind` is none of these, or `dot` meets D that is no multiple of d.

    Example:

    >>> HybridContext("mlp")(tf.ones([2, 6]), tf.ones([2, 5, 4])).shape.as_list()
    [2, 5, 10]
    """

    def __init__(self, kind: str = "dot", scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if kind not in ("dot", "mlp", "none"):
            raise ValueError(f"`kind` must be dot, mlp or none. Received: kind={kind!r}.")
        self.kind = kind
        self.scale = scale

    def build(self, context_shape: Any, pair_shape: Any = None) -> None:
        del pair_shape
        super().build(context_shape)

    def call(self, context: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
        """float32 [B, D], [B, Q, d] -> [B, Q, D] (`mlp`: [B, Q, d + D]; `none`: [B, 1, D])."""
        if self.kind == "none":
            return context[:, None, :]
        if self.kind == "dot":
            return self._product(context, pairs)
        tiled = tf.repeat(context[:, None, :], tf.shape(pairs)[1], axis=1)
        return tf.concat([pairs, tiled], axis=-1)

    def _product(self, context: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
        vectors, rest = divmod(context.shape[-1], pairs.shape[-1])
        if rest or vectors < 1:
            raise ValueError(
                "The hybrid context `dot` needs a context as wide as the pair embedding, or a "
                f"multiple of it. Received: D={context.shape[-1]}, d={pairs.shape[-1]}."
            )
        if self.scale != 1.0:
            context *= self.scale
        if vectors > 1:
            pairs = tf.tile(pairs, [1, 1, vectors])
        return context[:, None, :] * pairs

    def output_width(self, context_dimension: int, pair_dimension: int) -> int:
        """Width of C_h, the modulation network's input."""
        return context_dimension + (pair_dimension if self.kind == "mlp" else 0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "scale": self.scale}
