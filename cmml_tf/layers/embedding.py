"""Embedding of (user, item) pairs by id (paper section 3.1, scenario-specific setting)."""

from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.layers.frozen_table import fill_table
from cmml_tf.layers.sizes import positive


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class PairEmbedding(tf.keras.layers.Layer):
    """The pair embedding e = concat(user embedding, item embedding).

    Row `users` of the user table and row `items` of the item table stand for padding and unknown
    ids; they are zero.

    Args:
      users: Known users; the table has `users + 1` rows.
      items: Known items; the table has `items + 1` rows.
      user_dimension: d_u.
      item_dimension: d_i.
      trainable_tables: Whether training changes the tables (the paper freezes them).

    Raises:
      ValueError: A size is not a positive integer.

    Example:

    >>> layer = PairEmbedding(users=2, items=3, user_dimension=4, item_dimension=4)
    >>> layer(tf.constant([[0, 2]]), tf.constant([[1, 3]])).shape.as_list()
    [1, 2, 8]
    """

    def __init__(
        self,
        users: int,
        items: int,
        user_dimension: int,
        item_dimension: int,
        trainable_tables: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._sizes = positive(
            users=users,
            items=items,
            user_dimension=user_dimension,
            item_dimension=item_dimension,
        )
        self.users = users
        self.items = items
        self.trainable_tables = trainable_tables
        self.dimension = user_dimension + item_dimension

    def build(self, input_shape: Any) -> None:
        del input_shape
        self.user_table = self._table("user_table", self.users, self._sizes["user_dimension"])
        self.item_table = self._table("item_table", self.items, self._sizes["item_dimension"])
        super().build([None, None])

    def _table(self, name: str, rows: int, dimension: int) -> tf.Variable:
        return self.add_weight(
            name=name,
            shape=[rows + 1, dimension],
            initializer="zeros",
            trainable=self.trainable_tables,
        )

    def set_tables(self, user_embeddings: np.ndarray, item_embeddings: np.ndarray) -> None:
        """Fills the tables with pre-trained embeddings (`fill_table`); the last row stays zero.

        Args:
          user_embeddings: float [users, d_u].
          item_embeddings: float [items, d_i].

        Raises:
          ValueError: A shape differs from the table's, or a value is not finite.
        """
        if not self.built:
            self.build(None)
        fill_table(self.user_table, user_embeddings, "user_embeddings", self.users)
        fill_table(self.item_table, item_embeddings, "item_embeddings", self.items)

    def call(self, user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """int [B, N] user and item rows -> float32 [B, N, d]."""
        return tf.concat(
            [tf.gather(self.user_table, user), tf.gather(self.item_table, item)], axis=-1
        )

    def item_rows(self, item: tf.Tensor) -> tf.Tensor:
        """int [N] rows -> float32 [N, d_i], the part of a pair embedding that is the item's."""
        return tf.gather(self.item_table, item)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._sizes, "trainable_tables": self.trainable_tables}
