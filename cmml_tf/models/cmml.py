"""The CMML recommender: context encoder -> hybrid context -> modulation -> backbone."""

import inspect
from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named, deserialized, serialize
from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.layers.encoders.context_encoder import binary_label_features
from cmml_tf.layers.feature_embedding import FeaturePairEmbedding
from cmml_tf.layers.hybrid_context import HybridContext
from cmml_tf.layers.ordinal.neighbour_context import NeighbourContext
from cmml_tf.layers.ordinal.rating_tables import RatingTables
from cmml_tf.layers.query_attention import QueryAttention
from cmml_tf.models.adapting_model import ContextModel, ContextWidth
from cmml_tf.types import Support


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class CMML(ContextModel):
    """Scores query pairs of a task after reading its support set, in one forward pass (section 3).

    Args:
      pair_embedding: Ids to pair embeddings e (section 3.1).
      context_encoder: Labelled support pairs to the task context C (section 3.2); None for a model
        without context.
      hybrid_context: C and e to C_h (section 3.3).
      recommender: The backbone and what modulates it (section 3.4), called as (e, C_h).
      label_features: Support labels [B, S] to what is appended to e, [B, S, f]; None: one-hot
        [positive, negative].
      positives_only: The encoder reads positive support pairs only.
      stop_support_gradient: In training the encoder does not train the pair embedding (user
        setting).
      affinity: Pairs to a term of the score that no context changes; None: no such term.
      task, gradient_clip: As of `EpisodeModel`.
    """

    def __init__(
        self,
        pair_embedding: PairEmbedding | FeaturePairEmbedding | RatingTables,
        context_encoder: tf.keras.layers.Layer | None,
        hybrid_context: HybridContext | QueryAttention | NeighbourContext,
        recommender: tf.keras.layers.Layer,
        label_features: tf.keras.layers.Layer | None = None,
        positives_only: bool = False,
        stop_support_gradient: bool = False,
        affinity: tf.keras.layers.Layer | None = None,
        task: tf.keras.layers.Layer | None = None,
        gradient_clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(task, gradient_clip, **kwargs)
        self.pair_embedding = pair_embedding
        self.context_encoder = context_encoder
        self.hybrid_context = hybrid_context
        self.recommender = recommender
        self.label_features = label_features
        self.positives_only = positives_only
        self.stop_support_gradient = stop_support_gradient
        self.affinity = affinity

    def build_parts(self) -> None:
        """Creates the weights of the parts, in the order in which a task passes them."""
        build_named(self.pair_embedding, [None, None])
        d = self.pair_embedding.dimension
        pairs, hybrid = [None, None, d], None
        if self.context_encoder is not None:
            build_named(self.context_encoder, [None, None, d + self._label_width()])
            context = self.context_encoder.context_dimension
            _build_for(self.hybrid_context, [None, context], pairs)
            hybrid = [None, None, self.hybrid_context.output_width(context, d)]
        _build_for(self.recommender, pairs, hybrid)
        if self.affinity is not None:
            build_named(self.affinity, pairs)

    def _label_width(self) -> int:
        if self.label_features is None:
            return 2
        build_named(self.label_features, [None, None])
        return int(self.label_features.compute_output_shape([None, None])[-1])

    @property
    def parts(self) -> list[tf.keras.layers.Layer]:
        """The layers that scores depend on, embedding and label features left out."""
        layers = (self.context_encoder, self.hybrid_context, self.recommender, self.affinity)
        return [layer for layer in layers if layer is not None]

    @property
    def reads_support(self) -> bool:
        """Whether there is a context."""
        return self.context_encoder is not None

    @property
    def id_tables(self) -> PairEmbedding | FeaturePairEmbedding | RatingTables:
        """What knows ids."""
        return self.pair_embedding

    @property
    def context_width(self) -> ContextWidth:
        """D for every support."""
        return ContextWidth(self.context_dimension)

    @property
    def context_dimension(self) -> int:
        """D; 1 for a model without context, whose context is a zero."""
        return 1 if self.context_encoder is None else self.context_encoder.context_dimension

    def encode_context(self, support: Support, training: bool = False) -> tf.Tensor:
        """The task context C of each task: float32 [B, D]."""
        pairs = self.pair_embedding(support.user, support.item)  # [B, S, d]
        return self.encode_pairs(pairs, support.label, support.length, training)

    def encode_pairs(
        self, pairs: tf.Tensor, label: tf.Tensor, length: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """The task context of support pairs [B, S, d] that are embedded already."""
        if self.context_encoder is None:
            return tf.zeros([tf.shape(length)[0], 1])
        # What lies behind the length may hold anything, NaN too.
        label = tf.where(tf.sequence_mask(length, tf.shape(label)[1]), label, 0.0)
        # An exported graph must not hold an operation that only training knows.
        if self.stop_support_gradient and training:
            pairs = tf.stop_gradient(pairs)
        label_features = self.label_features or binary_label_features
        pairs = tf.concat([pairs, label_features(label)], axis=-1)
        mask = self.support_mask(label, length)
        return self.context_encoder(pairs, mask=mask, training=training)

    def support_mask(self, label: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Which support pairs are read: bool [B, S]."""
        valid = tf.sequence_mask(length, tf.shape(label)[1])
        return valid & (label > 0.5) if self.positives_only else valid

    def score_with_context(
        self, context: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """float32 [B, D], int [B, Q] rows -> score float32 [B, Q]."""
        return self.score_pairs(context, self.pair_embedding(query_user, query_item))

    def score_pairs(self, context: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
        """float32 [B, D], pairs [B, Q, d] that are embedded already -> score float32 [B, Q]."""
        return self._with_affinity(self.recommender(pairs, self.hybrid(context, pairs)), pairs)

    def item_columns(self, item: tf.Tensor) -> tf.Tensor:
        """What items are told apart by: int [N] rows -> float32 [N, d_i]."""
        return self.pair_embedding.item_rows(item)

    def _with_affinity(self, score: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
        return score if self.affinity is None else score + self.affinity(pairs)

    def hybrid(self, context: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor | None:
        """C_h of each query pair, or None for a model without context."""
        return None if self.context_encoder is None else self.hybrid_context(context, pairs)

    def modulation(
        self, context: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What the context sets in the backbone for each query pair, by name and layer."""
        pairs = self.pair_embedding(query_user, query_item)
        return self.recommender.modulation(self.hybrid(context, pairs))

    def get_config(self) -> dict[str, Any]:
        recommender = serialize(self.recommender)
        if self._shares_basis():
            recommender["config"]["basis"] = None
        return {
            **super().get_config(),
            "pair_embedding": serialize(self.pair_embedding),
            "context_encoder": serialize(self.context_encoder),
            "hybrid_context": serialize(self.hybrid_context),
            "recommender": recommender,
            "label_features": serialize(self.label_features),
            "positives_only": self.positives_only,
            "stop_support_gradient": self.stop_support_gradient,
            "affinity": serialize(self.affinity),
        }

    def _shares_basis(self) -> bool:
        basis = getattr(self.recommender, "basis", None)
        return basis is not None and basis is getattr(self.context_encoder, "basis", None)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Any:
        """A model of the same parts, with first weights of its own."""
        recommender = config["recommender"]
        if recommender["config"].get("basis", recommender) is None:
            encoder = deserialized({"encoder": config["context_encoder"]})["encoder"]
            shared = {**recommender["config"], "basis": encoder.basis}
            recommender = {**recommender, "config": shared}
            config = {**config, "context_encoder": encoder, "recommender": recommender}
        return super().from_config(config, custom_objects)


def _build_for(part: tf.keras.layers.Layer, first: list, second: list | None) -> None:
    """Builds a part for its inputs' shapes; Keras' own layers know the first one's only."""
    takes_both = len(inspect.signature(part.build).parameters) > 1
    build_named(part, *([first, second] if takes_both else [first]))
