"""Tables of what is known of users and items, read by key."""

from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.layers.frozen_table import fill_table
from cmml_tf.layers.sizes import positive


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RowTables(tf.keras.layers.Layer):
    """Key to row: keys below the rows of a table are its rows, any other is an unknown id, zeros.

    The tables are frozen: they are fitted before (`cmml_tf.embeddings`).

    Args:
      users, items: Rows of the tables.
      user_width, item_width: Columns.
      catalogue: The leading item rows that are the catalogue; those behind are for training. None:
        all.
      sampled: How many rows stand for the catalogue, evenly spaced.

    Raises:
      ValueError: A size is below 1, or `catalogue` is above `items`.
    """

    def __init__(
        self,
        users: int,
        items: int,
        user_width: int,
        item_width: int,
        catalogue: int | None = None,
        sampled: int = 192,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._sizes = positive(
            users=users,
            items=items,
            user_width=user_width,
            item_width=item_width,
            catalogue=items if catalogue is None else catalogue,
            sampled=sampled,
        )
        self.users = users
        self.items = items
        self.user_width = user_width
        self.item_width = item_width
        self.catalogue = self._sizes["catalogue"]
        self.sampled = min(sampled, self.catalogue)
        if self.catalogue > items:
            raise ValueError(
                f"`catalogue` must be at most items={items}. Received: catalogue={catalogue}."
            )

    def build(self, input_shape: Any = None) -> None:
        del input_shape
        self.user_table = self._table("user_table", self.users, self.user_width)
        self.item_table = self._table("item_table", self.items, self.item_width)
        super().build(None)

    def _table(self, name: str, rows: int, width: int) -> tf.Variable:
        return self.add_weight(name=name, shape=[rows, width], initializer="zeros", trainable=False)

    def set_tables(self, user_rows: np.ndarray, item_rows: np.ndarray) -> None:
        """Fills both tables.

        Args:
          user_rows: float [users, user_width].
          item_rows: float [items, item_width].

        Raises:
          ValueError: A shape differs from the table's, or a value is not finite.
        """
        if not self.built:
            self.build(None)
        fill_table(self.user_table, user_rows, "user_rows")
        fill_table(self.item_table, item_rows, "item_rows")

    def user_rows(self, key: tf.Tensor) -> tf.Tensor:
        """int64 [...] -> float32 [..., user_width]."""
        return _looked_up(self.user_table, key, self.users)

    def item_rows(self, key: tf.Tensor) -> tf.Tensor:
        """int64 [...] -> float32 [..., item_width]."""
        return _looked_up(self.item_table, key, self.items)

    def catalogue_rows(self) -> tf.Tensor:
        """Rows that stand for the catalogue, float32 [sampled, item_width]."""
        return tf.gather(self.item_table, self.sampled_rows())

    def sampled_rows(self) -> tf.Tensor:
        """Which these are, int64 [sampled]."""
        return tf.range(self.sampled, dtype=tf.int64) * self.catalogue // self.sampled

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._sizes}


def _looked_up(table: tf.Variable, key: tf.Tensor, rows: int) -> tf.Tensor:
    known = (key >= 0) & (key < rows)
    found = tf.gather(table, tf.where(known, key, 0))
    return tf.where(known[..., None], found, 0.0)
