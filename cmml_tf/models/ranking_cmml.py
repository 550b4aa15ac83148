"""CMML for a catalogue: what a new user takes, from what the user has taken so far."""

from typing import Any, NamedTuple

import tensorflow as tf

from cmml_tf.layers.building import build_named, serialize
from cmml_tf.layers.catalogue.item_content import ContentWeights, ItemContent
from cmml_tf.layers.catalogue.item_evidence import ItemEvidence
from cmml_tf.layers.catalogue.item_tables import Evidence, ItemTablesLayer
from cmml_tf.layers.catalogue.known_items_context import KnownItemsContext
from cmml_tf.layers.catalogue.stand_in_worth import StandInWorth
from cmml_tf.layers.catalogue.table_backbone import TableBackbone
from cmml_tf.models.cmml import CMML
from cmml_tf.types import Episode, SampledEpisode, Support


class _Read(NamedTuple):
    """What is made of a support: its evidence, C, f, the values [B, M + L] of f, and v or None."""

    evidence: Evidence
    context: tf.Tensor
    features: tf.Tensor
    values: tf.Tensor
    worth: tf.Tensor | None


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RankingCMML(CMML):
    """Scores the whole catalogue for each task at once, in one forward pass.

    Context encoder -> hybrid context -> modulation -> backbone, as in every CMML, but the query is
    known beforehand: all items. So what is kept of a task is the answer: the context of an encoded
    support is [score of each item, score of an unknown item, C], and a query looks its scores up.
    An unknown item has the lowest score of the catalogue. Users are read for their fold in training
    alone. A support item with the label 0 is not read, and not recommended to its user: so requests
    exclude items.

    Where the tables hold fewer items than several users have taken, items beyond them are worth
    what the items are that stand in for them.

    Where content of items is known, those in no table, taken seldom or by nobody, are told apart by
    it. In training some items are met as if nobody had taken them: row k of I as k + I + 1, and
    without content as k + 2 (I + 1) (`cmml_tf.episodes.hiding`).

    Args:
      pair_embedding: The frozen item-item tables.
      context_encoder: What is known of how much to C.
      hybrid_context: What is known to the features of each item.
      recommender: The backbone and its modulation, called as (f, C).
      item_content: The same of items in no table; None: nothing is known of them.
      stand_in_worth: What table items are worth to those they stand in for; None: to none.
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
        item_content: ItemContent | None = None,
        stand_in_worth: StandInWorth | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs["positives_only"] = True
        super().__init__(pair_embedding, context_encoder, hybrid_context, recommender, **kwargs)
        self.item_content, self.stand_in_worth = item_content, stand_in_worth

    def build_parts(self) -> None:
        """Creates the weights of the parts."""
        tables, context = self.pair_embedding, [None, self.context_encoder.context_dimension]
        build_named(tables, [None, None])
        features = [None, tables.tables + 1, tables.table_items + tables.levels]
        build_named(self.recommender, features, context)
        if self.item_content is not None:
            build_named(self.item_content, [None, tables.tables, tables.content_width], context)
        if self.stand_in_worth is not None:
            build_named(self.stand_in_worth, None, None, context)

    @property
    def parts(self) -> list[tf.keras.layers.Layer]:
        """The layers that scores depend on, tables left out."""
        further = (self.item_content, self.stand_in_worth)
        return [*super().parts, *(part for part in further if part is not None)]

    @property
    def weights_that_may_be_new(self) -> int:
        """Those of `stand_in_worth`: a catalogue can grow beyond its tables."""
        return 0 if self.stand_in_worth is None else len(self.stand_in_worth.trainable_variables)

    @property
    def context_dimension(self) -> int:
        """D: a score for each item and for an unknown one, and C."""
        return self.pair_embedding.items + 1 + self.context_encoder.context_dimension

    def call(self, episode: Episode | SampledEpisode, training: bool = False) -> tf.Tensor:
        """Scores of the query pairs, float32 [B, Q]; in training no others are made."""
        if not training:
            context = self.encode_context(episode.support)
            return self.score_with_context(context, episode.query_user, episode.query_item)
        whole = not isinstance(episode, SampledEpisode)
        return self._of_query(self._read(episode.support), episode.query_item, whole)

    def _of_query(self, read: _Read, query_item: tf.Tensor, whole: bool) -> tf.Tensor:
        """Scores float32 [B, Q] of items int [B, Q], some of them hidden.

        Args:
          read: Of the tasks.
          query_item: As in training.
          whole: The query is the whole catalogue, so that all is multiplied at once.
        """
        tables, fold = self.pair_embedding, read.evidence.fold
        key = tf.cast(query_item, tf.int32)
        row, hidden = key % (tables.items + 1), key > tables.items
        rank = tables.ranks(fold, row)
        place = tf.where(hidden, tables.table_items, tables.places(fold, rank))
        scores = tf.gather(read.values, place, batch_dims=1)
        in_none = rank >= tables.table_items
        if read.worth is not None:
            beyond = in_none & (rank < tables.items) & ~hidden
            scores += tf.where(beyond, self._in_parts(read.worth, fold, rank, whole), 0.0)
        layer = self.item_content
        if layer is None:
            return scores
        given = self._content_weights(read, layer)
        by_content = (hidden | in_none) & (key < 2 * (tables.items + 1))
        of_content = self._of_content(read, given, row, rank, hidden, whole)
        return scores + tf.where(by_content, of_content, 0.0)

    def _read(self, support: Support) -> _Read:
        mask = self.support_mask(support.label, support.length)
        evidence = self.pair_embedding(support.user, support.item, mask)
        context = self.context_encoder(evidence)
        features = self.hybrid_context(evidence)
        values, worth = self.recommender(features, context), None
        if self.stand_in_worth is not None:
            M = self.pair_embedding.table_items
            worth, more = self.stand_in_worth(values[:, :M], evidence.own, context)
            values += tf.pad(more, [[0, 0], [0, tf.shape(values)[1] - M]])
        return _Read(evidence, context, features, values, worth)

    def _in_parts(
        self, worth: tf.Tensor, fold: tf.Tensor, rank: tf.Tensor, whole: bool
    ) -> tf.Tensor:
        """Of worths [B, M] those of items in no table, int32 [B, Q]; of others anything."""
        tables = self.pair_embedding
        last = tables.items - tables.table_items - 1
        place = tf.clip_by_value(rank - tables.table_items, 0, last)
        if whole:
            return tf.gather(tables.in_parts(worth, fold), place, batch_dims=1)
        return tables.in_parts_of(worth, fold, place + tables.table_items)

    def _content_weights(self, read: _Read, layer: ItemContent) -> ContentWeights:
        popularity = tf.gather(self.pair_embedding.content_popularity, read.evidence.fold)
        return layer(self.hybrid_context.of_content(read.evidence), read.context, popularity)

    def _of_content(
        self,
        read: _Read,
        given: ContentWeights,
        row: tf.Tensor,
        rank: tf.Tensor,
        hidden: tf.Tensor,
        whole: bool,
    ) -> tf.Tensor:
        """What content adds, as it would without what is known of hidden ones: float32 [B, Q].

        Args:
          read: Of the tasks.
          given: Theirs.
          row, rank: int32 [B, Q].
          hidden: bool [B, Q].
          whole: The query is the whole catalogue, so that all is multiplied at once.
        """
        tables, fold = self.pair_embedding, read.evidence.fold
        M = tables.table_items
        if whole:
            foretold = tf.matmul(given.weights, tables.content, transpose_b=True)
            foretold = tf.gather(foretold, row, batch_dims=1)
        else:
            foretold = tf.einsum("bqw,bw->bq", tf.gather(tables.content, row), given.weights)
        # What tables and popularity say of an item that is in them, weighed alike.
        sums = read.features[:, :-1, :M] - read.features[:, :-1, M : M + 1]
        true = tf.squeeze(tf.matmul(given.of_tables[:, None], sums), axis=1)
        true += given.of_popularity * read.features[:, -1, :M]
        inside = tf.minimum(rank, M - 1)
        true = tf.gather(true, inside, batch_dims=1)
        leverage = tf.gather(tf.gather(tables.leverage, fold), inside, batch_dims=1)
        leverage = tf.where(hidden & (rank < M), leverage, 0.0)
        return (foretold - leverage * true) / (1.0 - leverage) + given.offset

    def encode_context(self, support: Support, training: bool = False) -> tf.Tensor:
        """What the catalogue is worth to the user of each task: float32 [B, D]."""
        del training
        read, tables = self._read(support), self.pair_embedding
        M = tables.table_items
        if tables.folds > 1:
            tasks = tf.shape(read.context)[0]
            every = tf.repeat(tf.range(tables.items)[None], tasks, axis=0)
            scores = self._of_query(read, every, whole=True)
            return tf.concat([scores, _lowest(scores), read.context], axis=1)
        others = read.evidence.of_others(read.values)
        if read.worth is not None:
            others += tables.in_parts(read.worth, read.evidence.fold)
        if self.item_content is not None:
            given = self._content_weights(read, self.item_content)
            outside = tables.content[M:]
            others += tf.matmul(given.weights, outside, transpose_b=True) + given.offset
        own = read.values[:, :M]
        lowest = tf.minimum(_lowest(own), _lowest(others))
        return tf.concat([own, others, lowest, read.context], axis=1)

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

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "item_content": serialize(self.item_content),
            "stand_in_worth": serialize(self.stand_in_worth),
        }


def _lowest(scores: tf.Tensor) -> tf.Tensor:
    """float32 [B, N] -> [B, 1]; infinite where N is 0."""
    return tf.reduce_min(scores, axis=1, keepdims=True)
