"""Pair embedding of an ordinal model: what was fitted of a user and of an item, by row."""

from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.layers.frozen_table import fill_table
from cmml_tf.layers.sizes import positive


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class RatingTables(tf.keras.layers.Layer):
    """e = [key, item row, user row]: the item's key as a number, and rows of two frozen tables.

    A key is a row of the item table. In training the table holds several groups of I + 1 rows, one
    behind the other, each fitted on other users, and a user's pairs read the group that was fitted
    without the user; in a served model there is one group, and keys are the rows of items.

    Args:
      users, items: Known ones; each has one more row, for unknown ids.
      user_width, item_width: Columns.
      groups: Of item rows; more than one in training only.

    Raises:
      ValueError: A size is below 1.

    Example:

    >>> tables = RatingTables(users=3, items=5, user_width=2, item_width=4)
    >>> tables(tf.constant([[0, 1]]), tf.constant([[4, 5]])).shape.as_list()
    [1, 2, 7]
    """

    def __init__(
        self,
        users: int,
        items: int,
        user_width: int,
        item_width: int,
        groups: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._sizes = positive(
            users=users,
            items=items,
            user_width=user_width,
            item_width=item_width,
            groups=groups,
        )
        self.users, self.items, self.groups = users, items, groups
        self.user_width, self.item_width = user_width, item_width
        self.dimension = 1 + item_width + user_width

    def build(self, input_shape: Any) -> None:
        self.user_table = self._table("user_table", self.users + 1, self.user_width)
        rows = self.groups * (self.items + 1)
        self.item_table = self._table("item_table", rows, self.item_width)
        self.user_group = None
        if self.groups > 1:
            self.user_group = self._table("user_group", self.users + 1, None)
        super().build(input_shape)

    def _table(self, name: str, rows: int, width: int | None) -> tf.Variable:
        return self.add_weight(
            name=name,
            shape=[rows] if width is None else [rows, width],
            dtype=tf.int32 if width is None else tf.float32,
            initializer="zeros",
            trainable=False,
        )

    def set_tables(
        self, user_rows: np.ndarray, item_rows: np.ndarray, user_group: np.ndarray
    ) -> None:
        """Fills the tables.

        Args:
          user_rows: float [users + 1, user_width].
          item_rows: float [groups (items + 1), item_width].
          user_group: int32 [users + 1], the group that was fitted without each user, from 0.

        Raises:
          ValueError: A shape is another, or a value is not finite.
        """
        fill_table(self.user_table, user_rows, "user_rows")
        fill_table(self.item_table, item_rows, "item_rows")
        if self.user_group is not None:
            self.user_group.assign(user_group)

    def call(self, user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """int [B, N] user and item rows -> float32 [B, N, 1 + item_width + user_width]."""
        if self.user_group is not None:
            group = tf.cast(tf.gather(self.user_group, user), item.dtype)
            item += group * (self.items + 1)
        key = tf.cast(item, tf.float32)[..., None]
        rows = tf.gather(self.item_table, item), tf.gather(self.user_table, user)
        return tf.concat([key, *rows], axis=-1)

    def item_rows(self, item: tf.Tensor) -> tf.Tensor:
        """int [N] rows -> float32 [N, item_width], those of the first group."""
        return tf.gather(self.item_table, item)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._sizes}
