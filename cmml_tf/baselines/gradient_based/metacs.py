"""MetaCS-DNN: every parameter adapts to a user by gradient steps, embeddings too (Bharadhwaj 2019).

The paper's "MetaDNN". A step changes only the embedding rows that the support set touches: all
others have no gradient. So each task has copies of these rows, not of the tables.
"""

from typing import NamedTuple

import tensorflow as tf

from cmml_tf.baselines.gradient_based.melu import MeLU
from cmml_tf.baselines.gradient_based.support_loss import support_squared_error
from cmml_tf.baselines.gradient_based.task_rows import (
    TaskRows,
    embed_members,
    find,
    members_of,
    rows_to_adapt,
)
from cmml_tf.baselines.task_weights import per_task
from cmml_tf.layers.feature_embedding import FieldEmbedding
from cmml_tf.types import Support


class AdaptedNetwork(NamedTuple):
    """What MetaCS-DNN becomes for each task.

    Attributes:
      weights: Of the network, [B, ...] each.
      rows: Own rows of each feature's table, items first.
    """

    weights: list[tf.Tensor]
    rows: list[TaskRows]


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class MetaCS(MeLU):
    """As `MeLU`, and the embeddings adapt too."""

    not_for_xla = "XLA has no ragged tensors, which list the rows that a task touches"

    def adapt(self, support: Support, training: bool = False) -> AdaptedNetwork:
        """Network weights and embedding rows of each task."""
        B, S = tf.shape(support.item)[0], tf.shape(support.item)[1]
        sides = self._fields(support.user, support.item)
        members = [members_of(field, rows) for field, rows in sides]
        first = [
            rows_to_adapt(field, own, B) for (field, _), own in zip(sides, members, strict=True)
        ]
        places = [
            find(field, rows, own)[0]
            for (field, _), rows, own in zip(sides, first, members, strict=True)
        ]
        weights = per_task(self.network.trainable_variables, B)
        count = len(weights)

        def loss(state: list[tf.Tensor]) -> tf.Tensor:
            embedded = []
            for (field, _), value, place, own in zip(
                sides, state[count:], places, members, strict=True
            ):
                flat = tf.gather(tf.reshape(value, [-1, field.dimension]), place)
                embedded.append(embed_members(flat, own, B * S))
            pairs = tf.reshape(tf.concat(embedded, axis=-1), [B, S, self.pair_embedding.dimension])
            return support_squared_error(self.network(pairs, state[:count]), support)

        state = self._descend(loss, [*weights, *(rows.value for rows in first)], training)
        rows = [TaskRows(rows.row, value) for rows, value in zip(first, state[count:], strict=True)]
        return AdaptedNetwork(state[:count], rows)

    def score_adapted(
        self, adapted: AdaptedNetwork, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """What `adapt` gave and int [B, Q] rows -> score float32 [B, Q]."""
        B, Q = tf.shape(query_item)[0], tf.shape(query_item)[1]
        embedded = []
        for (field, rows), own in zip(
            self._fields(query_user, query_item), adapted.rows, strict=True
        ):
            members = members_of(field, rows)
            place, is_own = find(field, own, members)
            adapted_values = tf.gather(tf.reshape(own.value, [-1, field.dimension]), place)
            shared = tf.gather(field.table, members.row)
            values = tf.where(is_own[:, None], adapted_values, shared)
            embedded.append(embed_members(values, members, B * Q))
        pairs = tf.reshape(tf.concat(embedded, axis=-1), [B, Q, self.pair_embedding.dimension])
        return self.network(pairs, adapted.weights)

    def _fields(self, user: tf.Tensor, item: tf.Tensor) -> list[tuple[FieldEmbedding, tf.Tensor]]:
        """Every feature with the catalogue rows [B, N] that it is read at, in the pair's order."""
        embedding = self.pair_embedding
        items = [(field, item) for field in embedding.item_fields]
        return items + [(field, user) for field in embedding.user_fields]
