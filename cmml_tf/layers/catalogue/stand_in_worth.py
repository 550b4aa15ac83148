"""What items in no table and those that stand in for them say of each other (modulation)."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.sizes import positive

_OF_KNOWN = 10.0  # of what is known: to be learned as fast as what scores count for


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class StandInWorth(tf.keras.layers.Layer):
    """v_h = a(C) (s_h - mean s) + 10 d(C) o_h, for every item h of the tables.

    Of its score s_h what is beyond the tables' mean, and how much of h itself is known, o_h, of
    which tables say nothing. An item j in no table, for which items h stand in with share_jh,
    scores sum_h share_jh v_h more than its level. And what stands in for a known item scores
    10 e(C) o_h more itself. Before training a, d and e are 0, so items in no table are ranked by
    how often they were taken. Not in the paper; a linear modulation, as that of `TableBackbone`.

    Args:
      weight_units: Hidden units of a(C), d(C) and e(C).
    """

    def __init__(self, weight_units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        positive(weight_units=weight_units)
        self.weight_units = weight_units
        self.read_context = tf.keras.layers.Dense(weight_units, "tanh", name="read_context")
        self.amounts = tf.keras.layers.Dense(3, kernel_initializer="zeros", name="amounts")

    def build(self, scores: Any, known: Any = None, context: Any = None) -> None:
        self._context_shape = list(context)
        build_named(self.read_context, context)
        build_named(self.amounts, [None, self.weight_units])
        super().build(scores)

    def call(
        self, scores: tf.Tensor, known: tf.Tensor, context: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """s [B, M], o [B, M], C [B, D] -> v, and what table items score more: float32 [B, M]."""
        amounts = self.amounts(self.read_context(context)) * [1.0, _OF_KNOWN, _OF_KNOWN]
        of_scores, of_known, themselves = tf.split(amounts, 3, axis=1)
        beyond = scores - tf.reduce_mean(scores, axis=1, keepdims=True)
        return of_scores * beyond + of_known * known, themselves * known

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight_units": self.weight_units}

    def get_build_config(self) -> dict[str, Any]:
        return {"context": self._context_shape}

    def build_from_config(self, config: dict[str, Any]) -> None:
        self.build(None, None, config["context"])
