"""Frozen item-item tables: the rows of what is known, added up (`cmml_tf.embeddings`)."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cmml_tf.layers.matching.support_groups import SupportGroups

_MOST_LEVELS = 1024


class Evidence(NamedTuple):
    """What the tables say of the support of B tasks, I items in the catalogue, M in the tables.

    Items in no table differ in nothing but how often they were taken, and most of them are taken
    equally often. So they are L levels of popularity, not I - M items; each item has a level.

    Attributes:
      sums: float32 [B, K, M], the rows of the distinct support items, added up, by table.
      popularity: float32 [B, M + L], standardised logarithm of how often an item was taken, of the
        items in the tables and of the levels.
      level: int32 [B, I - M], of each item in no table.
      known: float32 [B], distinct support items of the catalogue.
      mean_popularity: float32 [B], theirs; 0 without any.
      fold: int32 [B], which version of the tables says it.
    """

    sums: tf.Tensor
    popularity: tf.Tensor
    level: tf.Tensor
    known: tf.Tensor
    mean_popularity: tf.Tensor
    fold: tf.Tensor

    def of_items(self, values: tf.Tensor) -> tf.Tensor:
        """Numbers of the items in the tables and of levels [B, M + L] to those of items [B, I]."""
        M = tf.shape(self.sums)[2]
        return tf.concat(
            [values[:, :M], tf.gather(values[:, M:], self.level, batch_dims=1)], axis=1
        )


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ItemTablesLayer(tf.keras.layers.Layer):
    """K tables of the M most taken of I items, in F versions: each user has that of a fold.

    Items come most taken first; row I stands for unknown ones. A served model has one version, of
    all users; a model in training has one for each fold beside it, fitted without the fold's users,
    so that no user is in the tables that a training task of this user reads.

    Args:
      users: Known users U.
      items: I.
      tables: K.
      table_items: M.
      folds: F, versions.

    Raises:
      ValueError: A size is not a positive integer, or M is larger than I.
    """

    def __init__(
        self, users: int, items: int, tables: int, table_items: int, folds: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._sizes = {
            "users": users,
            "items": items,
            "tables": tables,
            "table_items": table_items,
            "folds": folds,
        }
        for name, value in self._sizes.items():
            if value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value}.")
        if table_items > items:
            raise ValueError(
                "`table_items` must be at most `items`. "
                f"Received: table_items={table_items}, items={items}."
            )
        self.users, self.items, self.tables = users, items, tables
        self.table_items, self.folds = table_items, folds
        self.levels = min(items - table_items, _MOST_LEVELS)

    def build(self, input_shape: Any) -> None:
        del input_shape
        M, K = self.table_items, self.tables
        self.rows = self._frozen("rows", [self.folds * M, K * M])
        self.popularity = self._frozen("popularity", [self.folds, self.items])
        self.level_popularity = self._frozen("level_popularity", [self.folds, self.levels])
        self.level = self._frozen("level", [self.folds, self.items - M], tf.int32)
        self.fold_of_user = self._frozen("fold_of_user", [self.users + 1], tf.int32)
        super().build([None, None])

    def _frozen(self, name: str, shape: list[int], dtype: tf.DType = tf.float32) -> tf.Variable:
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False
        )

    def set_fold(self, fold: int, rows: np.ndarray, popularity: np.ndarray) -> None:
        """Fills the version of a fold: float32 [M, K, M], [I]."""
        M = self.table_items
        places = tf.range(fold * M, (fold + 1) * M)
        self.rows.scatter_update(tf.IndexedSlices(rows.reshape([M, -1]), places))
        self.popularity.scatter_update(tf.IndexedSlices(popularity, fold))
        if not self.levels:
            return
        # Of more than there may be, evenly spaced ones, and each item has the nearest below.
        found = np.unique(popularity[M:])
        found = found[np.linspace(0, len(found) - 1, min(len(found), self.levels)).astype(int)]
        level = np.searchsorted(found, popularity[M:], side="right") - 1
        filled = np.pad(found, [0, self.levels - len(found)], mode="edge")
        self.level_popularity.scatter_update(tf.IndexedSlices(filled, fold))
        self.level.scatter_update(tf.IndexedSlices(level.astype(np.int32), fold))

    def set_folds_of_users(self, folds: np.ndarray) -> None:
        """Says of which fold each user is, int [U]; an unknown user is of the last one."""
        self.fold_of_user.assign(np.append(folds, self.folds - 1).astype(np.int32))

    def call(self, user: tf.Tensor, item: tf.Tensor, mask: tf.Tensor) -> Evidence:
        """int [B, S] rows, and bool [B, S] which of them count -> what the tables say."""
        B = tf.shape(item)[0]
        item = tf.where(mask, tf.cast(item, tf.int32), self.items)
        once = SupportGroups(tf.cast(item, tf.int64)).first
        once &= item < self.items  # each item once
        # Of a support without a pair, S = 0, the user is an unknown one.
        user = tf.pad(user, [[0, 0], [0, 1]], constant_values=self.users)[:, 0]
        fold = tf.gather(self.fold_of_user, user)
        folds = tf.repeat(fold[:, None], tf.shape(item)[1], axis=1)
        places = tf.stack([folds, tf.minimum(item, self.items - 1)], axis=-1)
        theirs = tf.where(once, tf.gather_nd(self.popularity, places), 0.0)
        known = tf.reduce_sum(tf.cast(once, tf.float32), axis=1)
        mean = tf.reduce_sum(theirs, axis=1) / tf.maximum(known, 1.0)
        inside = tf.where(once & (item < self.table_items))  # [N, 2]
        sums = tf.sparse.segment_sum(
            self.rows,
            tf.gather_nd(folds * self.table_items + item, inside),
            tf.cast(inside[:, 0], tf.int32),
            num_segments=B,
        )
        popularity = tf.concat(
            [
                tf.gather(self.popularity, fold)[:, : self.table_items],
                tf.gather(self.level_popularity, fold),
            ],
            axis=1,
        )
        sums = tf.reshape(sums, [B, self.tables, self.table_items])
        return Evidence(sums, popularity, tf.gather(self.level, fold), known, mean, fold)

    def places(self, fold: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """Where an item's number stands among those of table items and levels, int32 [B, Q].

        Args:
          fold: int32 [B], of `Evidence`.
          item: int [B, Q], rows of the catalogue.
        """
        item, M = tf.cast(item, tf.int32), self.table_items
        if not self.levels:
            return item
        folds = tf.repeat(fold[:, None], tf.shape(item)[1], axis=1)
        level = tf.gather_nd(self.level, tf.stack([folds, tf.maximum(item - M, 0)], axis=-1))
        return tf.where(item < M, item, M + level)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._sizes}
