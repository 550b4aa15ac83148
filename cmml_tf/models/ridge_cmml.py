"""CMML with a closed-form head: context encoder -> modulated backbone -> what is left is solved."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named, serialize
from cmml_tf.layers.closed_form.ridge_head import RidgeHead
from cmml_tf.models.cmml import CMML


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RidgeCMML(CMML):
    """A CMML whose context is [C, w]: the encoder's context and the head's solution.

    The encoder reads the support first; the backbone, modulated by C, scores the support pairs; the
    head solves for w on what these scores leave. A query is scored by both.

    Args:
      *args, **kwargs: Those of `CMML`. Without a context encoder the context is w alone.
      head: The closed-form head.
    """

    def __init__(self, *args: Any, head: RidgeHead, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.head = head

    def build_parts(self) -> None:
        """Creates the weights of the parts, the head's behind the others."""
        super().build_parts()
        build_named(self.head, [None, None, self.pair_embedding.dimension])

    @property
    def parts(self) -> list[tf.keras.layers.Layer]:
        """The layers that scores depend on, embedding and label features left out."""
        return [*super().parts, self.head]

    @property
    def context_dimension(self) -> int:
        """D, of the encoder's context and the solution together."""
        own = 0 if self.context_encoder is None else super().context_dimension
        return own + self.head.solution_dimension

    def encode_pairs(
        self, pairs: tf.Tensor, label: tf.Tensor, length: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """The task context [C, w] of support pairs [B, S, d] that are embedded already."""
        context = super().encode_pairs(pairs, label, length, training)
        mask = self.support_mask(label, length)
        # What lies behind the length has ids of the table, so its values are finite.
        base, hidden = self._modulated(context, pairs)
        solution = self.head.solve(pairs, hidden, base, label, mask)
        return solution if self.context_encoder is None else tf.concat([context, solution], axis=-1)

    def score_pairs(self, context: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
        """float32 [B, D], pairs [B, Q, d] that are embedded already -> score float32 [B, Q]."""
        context, solution = self._split(context)
        base, hidden = self._modulated(context, pairs)
        return self.head(pairs, hidden, base, solution)

    def modulation(
        self, context: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What the context sets in the backbone, and `ridge_weight` [B, 1, F], in the head."""
        context, solution = self._split(context)
        named = super().modulation(context, query_user, query_item)
        return {**named, "ridge_weight": self.head.weights_of(solution)}

    def _modulated(self, context: tf.Tensor, pairs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The backbone's scores [B, N] and last hidden layer [B, N, H]."""
        score, hidden = self.recommender.score_and_hidden(pairs, self.hybrid(context, pairs))
        return self._with_affinity(score, pairs), hidden

    def _split(self, context: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        solution = self.head.solution_dimension
        return context[:, :-solution], context[:, -solution:]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "head": serialize(self.head)}
