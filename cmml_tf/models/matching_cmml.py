"""CMML by matching: the hybrid context is what the support says of a query's own item and user."""

from typing import Any

import tensorflow as tf

from cmml_tf.config import FactorConfig
from cmml_tf.layers.building import build_named, serialize
from cmml_tf.layers.matching.match_context import MatchContext, pair_width, task_width
from cmml_tf.layers.matching.matched import MatchedPairs
from cmml_tf.layers.matching.matching import Matching
from cmml_tf.layers.matching.row_tables import RowTables
from cmml_tf.models.adapting_model import ContextModel, ContextWidth
from cmml_tf.types import Episode, Support

# Numbers of the factors that are fitted if nothing else is asked for.
_FITTED = FactorConfig.dimension


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class MatchingCMML(ContextModel):
    """Scores query pairs by matching their keys with those of the support, in one forward pass.

    `Support.user`, `Support.item` and the query's hold keys, int64: the row of a table, or any
    other number for an id that no table knows, which is then told apart from others by it.

    Maps decay more the wider the factors, (d / 16)^3 times as much, and d / 16 times those behind
    a dropout: of vectors that a data set ships, 64 numbers each, training scenarios are soon
    learned by heart; and (d / 16)^4 times that of users, which begins as the identity: what a data
    set ships is meant to meet as it is. What is no map has a meaning of its own and does not decay
    (docs/matching.md).

    Args:
      tables: Keys to rows.
      matching: Rows and keys to scores.
      task, gradient_clip: As of `EpisodeModel`.
    """

    by_key = True
    positives_only = False
    not_for_xla = "XLA has no lists of the different items of a support, however many"

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

    def decay_of(self, variable: tf.Variable) -> float:
        """As of `EpisodeModel`."""
        if len(variable.shape) < 2:
            return 0.0
        dropped = {each.ref() for part in self.matching.dropped for each in part.weights}
        wider = max(1.0, self.matching.dimension / _FITTED)
        if variable.ref() in dropped:
            return wider
        return wider ** (4 if variable is self.matching.user_map.kernel else 3)

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
        scores = self.score_adapted(self.adapt(episode.support), user, items, training)
        return tf.reshape(scores, tf.shape(item))

    def adapt(self, support: Support, training: bool = False) -> MatchContext:
        """The context of each task, with a name for each of its parts."""
        del training
        user, item = tf.cast(support.user, tf.int64), tf.cast(support.item, tf.int64)
        rows = self.tables.user_rows(user), self.tables.item_rows(item)
        return self.adapt_rows(user, item, *rows, support.label, support.length)

    def adapt_rows(
        self,
        user_key: tf.Tensor,
        item_key: tf.Tensor,
        user_row: tf.Tensor,
        item_row: tf.Tensor,
        label: tf.Tensor,
        length: tf.Tensor,
    ) -> MatchContext:
        """The same of support pairs whose rows are given, int64 and float32 [B, S, ...].

        For ids that the tables do not know but of which features are known. What lies behind the
        length may be any label.
        """
        valid = tf.sequence_mask(length, tf.shape(label)[1])
        return self.matching.encode(
            user_key, item_key, user_row, item_row, label, valid, self.tables.catalogue_rows()
        )

    def encode_context(self, support: Support, training: bool = False) -> tf.Tensor:
        """The context of each task: float32 [B, D], D growing with the support (`MatchContext`)."""
        return self.context_of(self.adapt(support, training))

    def context_of(self, adapted: MatchContext) -> tf.Tensor:
        """As of `AdaptingModel`."""
        return adapted.pack()

    def adapted_of(self, context: tf.Tensor) -> MatchContext:
        """As of `AdaptingModel`."""
        part = self.matching
        return MatchContext.unpack(context, part.dimension, part.taste_width, part.products)

    def score_with_context(
        self,
        context: tf.Tensor,
        query_user: tf.Tensor,
        query_item: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """float32 [B, D], keys int [B, Q] -> score float32 [B, Q]."""
        return self.score_adapted(self.adapted_of(context), query_user, query_item, training)

    def score_adapted(
        self,
        adapted: MatchContext,
        query_user: tf.Tensor,
        query_item: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """A context and keys int [B, Q] -> score float32 [B, Q].

        Keys may have two axes in place of Q and broadcast, see `Matching`.
        """
        user, item = tf.cast(query_user, tf.int64), tf.cast(query_item, tf.int64)
        rows = self.tables.user_rows(user), self.tables.item_rows(item)
        return self.score_rows(adapted, user, item, *rows, training=training)

    def score_rows(
        self,
        adapted: MatchContext,
        user_key: tf.Tensor,
        item_key: tf.Tensor | None,
        user_row: tf.Tensor,
        item_row: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """The same for query pairs whose rows are given, float32 [B, Q, ...]; see `Matching`."""
        return self.matching(adapted, user_key, item_key, user_row, item_row, training=training)

    def score_grid(
        self,
        adapted: MatchContext,
        users: tf.Tensor,
        items: tf.Tensor,
        pair: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Each item for each user, which are matched with the support once: float32 [B, U, I].

        Args:
          adapted: Of B tasks.
          users, items: Keys int [B, U] and [B, I].
          pair: float32 [B, U, I], `pair_tastes`; None: they are computed.
        """
        user, item = (tf.cast(key, tf.int64) for key in (users[:, :, None], items[:, None]))
        rows = self.tables.user_rows(user), self.tables.item_rows(item)
        pair = None if pair is None else pair[..., None]
        return self.matching(adapted, user, item, *rows, pair=pair)

    def user_factors(self, adapted: MatchContext, users: tf.Tensor) -> tf.Tensor:
        """Factors after the support, keys int64 [B, U] -> float32 [B, U, d]."""
        matched = MatchedPairs(adapted, users, users)
        return self.matching.after_clicks(adapted, matched, self.tables.user_rows(users))[0]

    def pair_tastes(self, user_factors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """What users like of items whatever the support: [B, U, d], int64 [B, I] -> [B, U, I]."""
        part = self.matching
        item = part.item_tower(self.tables.item_rows(items[:, None])).factor
        return part.pair_taste(user_factors[:, :, None], item)[..., 0]

    def score_of_user(
        self,
        adapted: MatchContext,
        query_user: tf.Tensor,
        query_item: tf.Tensor,
        named: bool = True,
    ) -> tf.Tensor:
        """`score_adapted` of one user a task, keys int64 [B]; items [B, Q], or [1, Q] for all.

        Args:
          adapted: Of B tasks.
          query_user, query_item: Keys.
          named: Whether the support's pairs of an item count; else it is scored as if none had it.
        """
        user, item = query_user[:, None, None], query_item[:, None] if named else None
        rows = self.tables.user_rows(user), self.tables.item_rows(query_item)[:, None]
        return self.score_rows(adapted, user, item, *rows)[:, 0]

    def score_with_support(
        self, adapted: MatchContext, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """`score_of_user`, of items [B, N] that no support pair has, then of those of the S pairs.

        Returns:
          float32 [B, N + S].
        """
        user, items = query_user[:, None, None], tf.concat([query_item, adapted.item_key], axis=1)
        rows = self.tables.user_rows(user), self.tables.item_rows(items)[:, None]
        return self.matching(adapted, user, None, *rows, apart=query_item.shape[1])[:, 0]

    def item_columns(self, item: tf.Tensor) -> tf.Tensor:
        """What items are told apart by where no support names them: int64 [N] -> [N, width]."""
        return self.matching.item_columns(self.tables.item_rows(item))

    def matches(
        self, adapted: MatchContext, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """What the support says of each query pair itself: float32 [B, Q, 3].

        How often its item was taken and refused, and how many items its user took.
        """
        return adapted.counts(tf.cast(query_user, tf.int64), tf.cast(query_item, tf.int64))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tables": serialize(self.tables),
            "matching": serialize(self.matching),
        }
