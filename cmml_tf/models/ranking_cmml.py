"""CMML for a catalogue: what a new user takes, from what the user has taken so far."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.catalogue.item_evidence import ItemEvidence
from cmml_tf.layers.catalogue.item_tables import Evidence, ItemTablesLayer
from cmml_tf.layers.catalogue.known_items_context import KnownItemsContext
from cmml_tf.layers.catalogue.table_backbone import TableBackbone
from cmml_tf.models.cmml import CMML
from cmml_tf.types import Episode, SampledEpisode, Support


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RankingCMML(CMML):
    """Scores the whole catalogue for each task at once, in one forward pass.

    Context encoder -> hybrid context -> modulation -> backbone, as in every CMML, but the query is
    known beforehand: all items. So what is kept of a task is the answer: the context of an encoded
    support is [score of each item, score of an unknown item, C], and a query looks its scores up.
    An unknown item has the lowest score of the catalogue. Users are read for their fold in training
    alone. A support item with the label 0 is not read, and not recommended to its user: so requests
    exclude items.

    Args:
      pair_embedding: The frozen item-item tables.
      context_encoder: What is known of how much to C.
      hybrid_context: What is known to the features of each item.
      recommender: The backbone and its modulation, called as (f, C).
      **kwargs: As of `CMML`.
    """

    may_recommend_refused = False
    not_for_xla = "XLA has no lists of the items that tasks have taken, however many"
    context_encoder: KnownItemsContext

    def __init__(
        self,
        pair_embedding: ItemTablesLayer,
        context_encoder: KnownItemsContext,
        hybrid_context: ItemEvidence,
        recommender: TableBackbone,
        **kwargs: Any,
    ) -> None:
        kwargs["positives_only"] = True
        super().__init__(pair_embedding, context_encoder, hybrid_context, recommender, **kwargs)

    def build_parts(self) -> None:
        """Creates the weights of the parts."""
        tables = self.pair_embedding
        build_named(tables, [None, None])
        features = [None, tables.tables + 1, tables.table_items + tables.levels]
        build_named(self.recommender, features, [None, self.context_encoder.context_dimension])

    @property
    def context_dimension(self) -> int:
        """D: a score for each item and for an unknown one, and C."""
        return self.pair_embedding.items + 1 + self.context_encoder.context_dimension

    def call(self, episode: Episode | SampledEpisode, training: bool = False) -> tf.Tensor:
        """Scores of the query pairs, float32 [B, Q]; in training no others are made."""
        if not training:
            context = self.encode_context(episode.support)
            return self.score_with_context(context, episode.query_user, episode.query_item)
        evidence, _, values = self._read(episode.support)
        places = self.pair_embedding.places(evidence.fold, episode.query_item)
        return tf.gather(values, places, batch_dims=1)

    def _read(self, support: Support) -> tuple[Evidence, tf.Tensor, tf.Tensor]:
        """Evidence, C, and what items in the tables and levels are worth, float32 [B, M + L]."""
        mask = self.support_mask(support.label, support.length)
        evidence = self.pair_embedding(support.user, support.item, mask)
        context = self.context_encoder(evidence)
        return evidence, context, self.recommender(self.hybrid_context(evidence), context)

    def encode_context(self, support: Support, training: bool = False) -> tf.Tensor:
        """What the catalogue is worth to the user of each task: float32 [B, D]."""
        del training
        evidence, context, values = self._read(support)
        scores = evidence.of_items(values)
        lowest = tf.reduce_min(scores, axis=1, keepdims=True)
        return tf.concat([scores, lowest, context], axis=1)

    def score_with_context(
        self, context: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """float32 [B, D], int [B, Q] rows -> score float32 [B, Q]."""
        del query_user
        return tf.gather(context, query_item, batch_dims=1)

    def modulation(
        self, context: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """`table_weight` [B, 1, K + 1]: what the context weighs the tables and popularity with."""
        del query_user, query_item
        own = context[:, self.pair_embedding.items + 1 :]
        return {"table_weight": self.recommender.weights_of(own)[:, None, :]}
