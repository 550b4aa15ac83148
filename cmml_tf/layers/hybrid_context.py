"""Hybrid context: the task context made specific to each query pair (paper section 3.3)."""

from typing import Any

import tensorflow as tf


class HybridContext(tf.keras.layers.Layer):
    """Equation 8: C_h from the task context C and the query pair's embedding e.

    Args:
      kind: `dot`: C_h = C * e, element-wise, which needs D = d (the paper's default);
        `mlp`: C_h = concat(e, C); `none`: C_h = C, one for all pairs of a task.

    Raises:
      ValueError: `kind` is none of these, or `dot` meets D different from d.

    Example:

    >>> HybridContext("mlp")(tf.ones([2, 6]), tf.ones([2, 5, 4])).shape.as_list()
    [2, 5, 10]
    """

    def __init__(self, kind: str = "dot", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if kind not in ("dot", "mlp", "none"):
            raise ValueError(f"`kind` must be dot, mlp or none. Received: kind={kind!r}.")
        self.kind = kind

    def call(self, context: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
        """float32 [B, D], [B, Q, d] -> [B, Q, D] (`mlp`: [B, Q, d + D]; `none`: [B, 1, D])."""
        context = context[:, None, :]  # [B, 1, D]
        if self.kind == "none":
            return context
        if self.kind == "dot":
            if context.shape[-1] != pairs.shape[-1]:
                raise ValueError(
                    "The hybrid context `dot` needs a context as wide as the pair embedding. "
                    f"Received: D={context.shape[-1]}, d={pairs.shape[-1]}."
                )
            return context * pairs
        tiled = tf.repeat(context, tf.shape(pairs)[1], axis=1)
        return tf.concat([pairs, tiled], axis=-1)

    def output_width(self, context_dimension: int, pair_dimension: int) -> int:
        """Width of C_h, the modulation network's input."""
        return context_dimension + (pair_dimension if self.kind == "mlp" else 0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}
