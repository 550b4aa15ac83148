"""CMML by matching: the hybrid context is what the support says of a query's own item and user."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named, serialize
from cmml_tf.layers.matching.match_context import MatchContext, pair_width, task_width
from cmml_tf.layers.matching.matching import Matching
from cmml_tf.layers.matching.row_tables import RowTables
from cmml_tf.models.adapting_model import ContextModel, ContextWidth
from cmml_tf.types import Episode, Support


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class MatchingCMML(ContextModel):
    """Scores query pairs by matching their keys with those of the support, in one forward pass.

    `Support.user`, `Support.item` and the query's hold keys, int64: the row of a table, or any
    other number for an id that no table knows, which is then told apart from others by it.

    Args:
      tables: Keys to rows.
      matching: Rows and keys to scores.
      task, gradient_clip: As of `EpisodeModel`.
    """

    by_key = True
    positives_only = False

    def __init__(
        self,
        tables: RowTables,
        matching: Matching,
        task: tf.keras.layers.Layer | None = None,
        gradient_clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(task, gradient_clip, **kwargs)
        self.tables = tables
        self.matching = matching

    def build_parts(self) -> None:
        """Creates the weights of the parts."""
        build_named(self.tables, None)
        build_named(self.matching, [None, None, self.tables.item_width])

    @property
    def parts(self) -> list[tf.keras.layers.Layer]:
        """The layers that scores depend on, the tables left out."""
        return [self.matching]

    @property
    def id_tables(self) -> RowTables:
        """What knows ids."""
        return self.tables

    @property
    def context_width(self) -> ContextWidth:
        """Numbers of a task and of each of its support pairs."""
        part = self.matching
        width = task_width(part.dimension, part.taste_width, part.products)
        return ContextWidth(width, pair_width(part.dimension))

    def call(self, episode: Episode, training: bool = False) -> tf.Tensor:
        """Scores of the query pairs, float32 [B, Q]: N items of each of P users, Q = N P.

        `episode.query_user` [B, P] may be narrower than the query: pair k is of user k mod P.
        """
        user, item = episode.query_user[:, None], episode.query_item
        items = tf.reshape(item, [tf.shape(item)[0], -1, tf.shape(user)[2]])
        scores = self._scores(self._encoded(*self._known(episode.support)), user, items, training)
        return tf.reshape(scores, tf.shape(item))

    def encode_context(self, support: Support, training: bool = False) -> tf.Tensor:
        """The context of each task: float32 [B, D], D growing with the support (`MatchContext`)."""
        del training
        return self.encode_rows(*self._known(support))

    def encode_rows(
        self,
        user_key: tf.Tensor,
        item_key: tf.Tensor,
        user_row: tf.Tensor,
        item_row: tf.Tensor,
        label: tf.Tensor,
        length: tf.Tensor,
    ) -> tf.Tensor:
        """The context [B, D] of support pairs whose rows are given, int64 and float32 [B, S, ...].

        For ids that the tables do not know but of which features are known.
        """
        return self._encoded(user_key, item_key, user_row, item_row, label, length).pack()

    def _known(self, support: Support) -> tuple[tf.Tensor, ...]:
        """Arguments of `encode_rows`, of a support whose ids the tables know or do not."""
        user, item = tf.cast(support.user, tf.int64), tf.cast(support.item, tf.int64)
        rows = self.tables.user_rows(user), self.tables.item_rows(item)
        return user, item, *rows, support.label, support.length

    def _encoded(
        self,
        user_key: tf.Tensor,
        item_key: tf.Tensor,
        user_row: tf.Tensor,
        item_row: tf.Tensor,
        label: tf.Tensor,
        length: tf.Tensor,
    ) -> MatchContext:
        valid = tf.sequence_mask(length, tf.shape(label)[1])
        label = tf.where(valid, label, 0.0)  # what lies behind the length may hold anything
        return self.matching.encode(
            user_key, item_key, user_row, item_row, label, valid, self.tables.catalogue_rows()
        )

    def score_with_context(
        self,
        context: tf.Tensor,
        query_user: tf.Tensor,
        query_item: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """float32 [B, D], keys int [B, Q] -> score float32 [B, Q].

        Keys may have two axes in place of Q and broadcast, see `Matching`.
        """
        return self._scores(self._unpacked(context), query_user, query_item, training)

    def _scores(
        self, context: MatchContext, query_user: tf.Tensor, query_item: tf.Tensor, training: bool
    ) -> tf.Tensor:
        user, item = tf.cast(query_user, tf.int64), tf.cast(query_item, tf.int64)
        rows = self.tables.user_rows(user), self.tables.item_rows(item)
        return self.matching(context, user, item, *rows, training=training)

    def score_rows(
        self,
        context: tf.Tensor,
        user_key: tf.Tensor,
        item_key: tf.Tensor,
        user_row: tf.Tensor,
        item_row: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """The same for query pairs whose rows are given, float32 [B, Q, ...]."""
        unpacked = self._unpacked(context)
        return self.matching(unpacked, user_key, item_key, user_row, item_row, training=training)

    def score_grid(self, adapted: tf.Tensor, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Each item for each user, which are matched with the support once: float32 [B, U, I]."""
        return self.score_with_context(adapted, users[:, :, None], items[:, None])

    def score_of_user(
        self, context: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor, named: bool = True
    ) -> tf.Tensor:
        """`score_with_context` of one user a task, keys int64 [B]; items [B, Q].

        Args:
          context: float32 [B, D].
          query_user, query_item: Keys.
          named: Whether the support's pairs of an item count; else it is scored as if none had it.
        """
        user, item = query_user[:, None, None], query_item[:, None]
        rows = self.tables.user_rows(user), self.tables.item_rows(item)
        key = item if named else tf.fill(tf.shape(item), item.dtype.min)
        return self.matching(self._unpacked(context), user, key, *rows, training=False)[:, 0]

    def item_columns(self, item: tf.Tensor) -> tf.Tensor:
        """What items are told apart by where no support names them: int64 [N] -> [N, width]."""
        return self.matching.item_columns(self.tables.item_rows(item))

    def matches(
        self, context: tf.Tensor, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """What the support says of each query pair itself: float32 [B, Q, 3].

        How often its item was taken and refused, and how many items its user took.
        """
        unpacked = self._unpacked(context)
        user, item = tf.cast(query_user, tf.int64), tf.cast(query_item, tf.int64)
        return unpacked.counts(user, item)

    def _unpacked(self, context: tf.Tensor) -> MatchContext:
        part = self.matching
        return MatchContext.unpack(context, part.dimension, part.taste_width, part.products)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tables": serialize(self.tables),
            "matching": serialize(self.matching),
        }
