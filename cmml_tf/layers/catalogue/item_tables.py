"""Frozen item-item tables: the rows of what is known, added up (`cmml_tf.embeddings`)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cmml_tf.layers.sizes import positive

_MOST_LEVELS = 1024

AddUp = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""item int32 [N], task int32 [N], fold int32 [B] -> rows added up, float32 [B, K (M + w)]."""


class Evidence(NamedTuple):
    """What the tables say of the support of B tasks, I items in the catalogue, M in the tables.

    Items in no table differ in nothing but how often they were taken, and most of them are taken
    equally often. So they are L levels of popularity, not I - M items; each item has a level.

    Attributes:
      sums: float32 [B, K, M], the rows of the distinct support items, added up, by table.
      content: float32 [B, K, w], the same of content: an item of content x, in no table, has the
        sums <content, x>. w is 0 where nothing is known of items but who took them.
      popularity: float32 [B, M + L], standardised logarithm of how often an item was taken, of the
        items in the tables and of the levels.
      level: int32 [I - M], of each item in no table; [0] where folds differ.
      own: float32 [B, M], how much of each table item is known: 1, or the parts for which it stands
        in; [B, 0] where none stands in.
      known: float32 [B], distinct support items of the catalogue.
      mean_popularity: float32 [B], theirs; 0 without any.
      fold: int32 [B], which version of the tables says it.
      compared: float32 scalar, items that sums are compared over: those of the training.
    """

    sums: tf.Tensor
    content: tf.Tensor
    popularity: tf.Tensor
    level: tf.Tensor
    own: tf.Tensor
    known: tf.Tensor
    mean_popularity: tf.Tensor
    fold: tf.Tensor
    compared: tf.Tensor

    def of_others(self, values: tf.Tensor) -> tf.Tensor:
        """Of numbers of table items and levels [B, M + L] those of items in no table [B, I - M]."""
        return tf.gather(values[:, tf.shape(self.sums)[2] :], self.level, axis=1)


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ItemTablesLayer(tf.keras.layers.Layer):
    """K tables of the M most taken of I items, in F versions: each user has that of a fold.

    Items come most taken first; row I stands for unknown ones. A served model has one version, of
    all users, whose rows are a weight. A model in training has one for each fold beside it, fitted
    without the fold's users, so that no user is in the tables that a training task of this user
    reads; their rows would be too many for the memory, and `add_up` reads them from where they are.
    A version has an order of its own, in which an item has a rank; items of ranks below M are in
    its tables.

    Where content of items is known, each row has columns for the numbers of it beside those for
    items, and an item of a support that is in no table has the row that its content foretells
    (`cmml_tf.embeddings.content_columns`). Level 0 is then that of an item nobody has taken.

    Where the tables hold fewer items than several users have taken, an item of a support that is in
    no table is read as those that stand in for it (`cmml_tf.embeddings.stand_ins`), and by its
    content only where nothing does. As a candidate it is worth what they are, in parts.

    Args:
      users: Known users U.
      items: I.
      tables: K.
      table_items: M.
      content: w, numbers of an item's content, the constant 1 among them; 0: nothing is known.
      stand_ins: n, table items that stand in for one that is in no table; 0: none do.
      compared: The leading items that sums are compared over; those behind came after the training.
        None: all.
      folds: F, versions.
      add_up: Adds up rows of every version; None: of the one version there is rows are a weight.
      rows: The weight, where another layer has it already.

    Raises:
      ValueError: A size is not a positive integer, M is larger than I, `content` or `stand_ins` is
        negative, or there are several versions without `add_up`.
    """

    def __init__(
        self,
        users: int,
        items: int,
        tables: int,
        table_items: int,
        content: int = 0,
        stand_ins: int = 0,
        compared: int | None = None,
        folds: int = 1,
        add_up: AddUp | None = None,
        rows: tf.Variable | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._sizes = positive(
            users=users,
            items=items,
            tables=tables,
            table_items=table_items,
            compared=items if compared is None else compared,
        )
        positive(folds=folds)
        if table_items > items:
            raise ValueError(
                "`table_items` must be at most `items`. "
                f"Received: table_items={table_items}, items={items}."
            )
        for name, number in (("content", content), ("stand_ins", stand_ins)):
            if number < 0:
                raise ValueError(
                    f"`{name}` must be zero or a positive integer. Received: {name}={number}."
                )
        if folds > 1 and add_up is None:
            raise ValueError(f"`folds` must be 1 without `add_up`. Received: folds={folds}.")
        self._sizes |= {"content": content, "stand_ins": stand_ins}
        self.users, self.items, self.tables = users, items, tables
        self.table_items, self.folds, self.content_width = table_items, folds, content
        self.stand_ins = stand_ins
        self.levels = min(items - table_items + (content > 0), _MOST_LEVELS)
        self._add_up, self._shared = add_up, rows

    def build(self, input_shape: Any) -> None:
        del input_shape
        M, K = self.table_items, self.tables
        F, w = self.folds, self.content_width
        if self._add_up is None:
            shape = [M, K * (M + w)]
            self.rows = self._frozen("rows", shape) if self._shared is None else self._shared
        self.popularity = self._frozen("popularity", [self.folds, self.items])
        self.place_popularity = self._frozen("place_popularity", [self.folds, M + self.levels])
        self.level = self._frozen("level", [self.folds, self.items - M], tf.int32)
        if self.stand_ins:
            shape = [F, self.stand_ins, self.items - M]
            self.stand_in = self._frozen("stand_in", shape, tf.int32)
            self.share = self._frozen("share", shape)
        if F > 1:
            self.rank = self._frozen("rank", [F, self.items + 1], tf.int32)
            self.fold_of_user = self._frozen("fold_of_user", [self.users + 1], tf.int32)
        if w:
            self.content = self._frozen("content", [self.items, w])
            self.content_rows = self._frozen("content_rows", [F * w, K * (M + w)])
            self.content_popularity = self._frozen("content_popularity", [F, w])
            self.leverage = self._frozen("leverage", [F, M])
            if self.stand_ins:
                self.is_read = self._frozen("is_read", [F, self.items - M])
        super().build([None, None])

    def _frozen(self, name: str, shape: list[int], dtype: tf.DType = tf.float32) -> tf.Variable:
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False
        )

    def set_popularity(self, fold: int, popularity: np.ndarray, never: float = 0.0) -> None:
        """Fills what a fold knows of how often items were taken.

        Args:
          fold: Which.
          popularity: float32 [I], by rank.
          never: That of an item nobody has taken; read where there is content.
        """
        inside, outside = np.split(popularity, [self.table_items])
        self.popularity.scatter_update(tf.IndexedSlices(popularity, fold))
        # Of more than there may be, evenly spaced ones, and each item has the nearest below.
        found = np.unique(np.append(outside, never) if self.content_width else outside)
        chosen = np.linspace(0, len(found) - 1, min(len(found), self.levels)).astype(int)
        levels = found[chosen]
        level = (np.searchsorted(levels, outside, side="right") - 1).astype(np.int32)
        if self.levels:
            levels = np.pad(levels, [0, self.levels - len(levels)], mode="edge")
        of_places = np.append(inside, levels)
        self.place_popularity.scatter_update(tf.IndexedSlices(of_places, fold))
        self.level.scatter_update(tf.IndexedSlices(level, fold))

    def set_order(self, fold: int, order: np.ndarray | None) -> None:
        """Says how a fold orders the catalogue: int [I], its rows; None: as they stand."""
        rank = np.arange(self.items + 1, dtype=np.int32)
        if order is not None:
            rank[order] = np.arange(self.items)
        self.rank.scatter_update(tf.IndexedSlices(rank, fold))

    def set_content_of_fold(
        self, fold: int, rows: np.ndarray, popularity: np.ndarray, leverage: np.ndarray
    ) -> None:
        """Fills what content foretells in a fold: float32 [w, K, M + w], [w], [M]."""
        w = self.content_width
        places = tf.range(fold * w, (fold + 1) * w)
        self.content_rows.scatter_update(tf.IndexedSlices(rows.reshape([w, -1]), places))
        self.content_popularity.scatter_update(tf.IndexedSlices(popularity, fold))
        self.leverage.scatter_update(tf.IndexedSlices(leverage, fold))

    def set_stand_ins(self, fold: int, item: np.ndarray, share: np.ndarray) -> None:
        """Fills what stands in for items in no table, by rank: int32 and float32 [I - M, n].

        Args:
          fold: Which version knows it.
          item: Table items.
          share: How much of each; 0 behind the last.
        """
        self.stand_in.scatter_update(tf.IndexedSlices(item.T, fold))
        self.share.scatter_update(tf.IndexedSlices(share.T, fold))
        if self.content_width:
            is_read = (share[:, 0] > 0).astype(np.float32)
            self.is_read.scatter_update(tf.IndexedSlices(is_read, fold))

    def set_content(self, content: np.ndarray) -> None:
        """Says what is known of each item, float32 [I, w]; the last number is 1."""
        self.content.assign(content)

    def set_folds_of_users(self, folds: np.ndarray) -> None:
        """Says of which fold each user is, int [U]; an unknown user is of the last one."""
        self.fold_of_user.assign(np.append(folds, self.folds - 1).astype(np.int32))

    def call(self, user: tf.Tensor, item: tf.Tensor, mask: tf.Tensor) -> Evidence:
        """int [B, S] rows, and bool [B, S] which of them count -> what the tables say."""
        B, M, w = tf.shape(item)[0], self.table_items, self.content_width
        fold = self._fold(user)
        # Each known item of a task once.
        place = tf.where(mask & (item < self.items))
        key = place[:, 0] * self.items + tf.cast(tf.gather_nd(item, place), tf.int64)
        key = tf.unique(key).y
        task = tf.cast(key // self.items, tf.int32)
        row = tf.cast(key % self.items, tf.int32)
        item = self._ranks(tf.gather(fold, task), row)
        theirs = self._popularity(fold, task, item)
        theirs = tf.stack([tf.ones_like(theirs), theirs], axis=1)
        known, total = tf.unstack(tf.math.unsorted_segment_sum(theirs, task, B), axis=1)
        parts = self._parts(item, task, fold)
        sums = self._sums(item, task, fold, parts)
        if w:
            outside = tf.where(item >= M)[:, 0]
            whose = tf.gather(task, outside)
            sums += self._foretold(tf.gather(row, outside), tf.gather(item, outside), whose, fold)
        sums = tf.reshape(sums, [B, self.tables, M + w])
        return Evidence(
            sums[..., :M],
            sums[..., M:],
            tf.gather(self.place_popularity, fold),
            tf.squeeze(self.level, axis=0) if self.folds == 1 else tf.zeros([0], tf.int32),
            self._own(item, task, parts, B),
            known,
            total / tf.maximum(known, 1.0),
            fold,
            tf.constant(float(self._sizes["compared"])),
        )

    def _fold(self, user: tf.Tensor) -> tf.Tensor:
        """int32 [B], of users int [B, S]."""
        if self.folds == 1:
            return tf.zeros(tf.shape(user)[:1], tf.int32)
        # Of a support without a pair, S = 0, the user is an unknown one.
        user = tf.pad(user, [[0, 0], [0, 1]], constant_values=self.users)[:, 0]
        return tf.gather(self.fold_of_user, user)

    def _popularity(self, fold: tf.Tensor, task: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """float32 [N], of items in the tables or not, to their tasks' folds."""
        if self.folds == 1:
            return tf.gather(tf.squeeze(self.popularity, axis=0), item)
        return tf.gather_nd(self.popularity, tf.stack([tf.gather(fold, task), item], axis=1))

    def _parts(self, item: tf.Tensor, task: tf.Tensor, fold: tf.Tensor) -> tf.SparseTensor | None:
        """How much items [N] in no table are of each table item, [B, M]; None: nothing is read."""
        if not self.stand_ins:
            return None
        outside = tf.where(item >= self.table_items)[:, 0]
        item, task = tf.gather(item, outside), tf.gather(task, outside)
        stand_in, share = self._standing_in(tf.gather(fold, task), item)
        where = tf.stack([tf.repeat(task, self.stand_ins), tf.reshape(stand_in, [-1])], axis=1)
        shape = tf.stack([tf.shape(fold)[0], self.table_items])
        where, shape = tf.cast(where, tf.int64), tf.cast(shape, tf.int64)
        return tf.SparseTensor(where, tf.reshape(share, [-1]), shape)

    def _standing_in(self, fold: tf.Tensor, item: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """For items int32 [...] in no table, in folds of this shape: items and shares [..., n]."""
        first = (fold * self.stand_ins)[..., None] + tf.range(self.stand_ins)
        place = first * (self.items - self.table_items) + (item - self.table_items)[..., None]
        tables = (tf.reshape(one, [-1]) for one in (self.stand_in, self.share))
        stand_in, share = (tf.gather(one, place) for one in tables)
        return stand_in, share

    def _own(
        self, item: tf.Tensor, task: tf.Tensor, parts: tf.SparseTensor | None, tasks: tf.Tensor
    ) -> tf.Tensor:
        """`Evidence.own`, of items [N]."""
        if parts is None:
            return tf.zeros([tasks, 0])
        inside = tf.where(item < self.table_items)[:, 0]
        where = tf.stack([tf.gather(task, inside), tf.gather(item, inside)], axis=1)
        where = tf.concat([where, tf.cast(parts.indices, tf.int32)], axis=0)
        much = tf.concat([tf.ones(tf.shape(inside)), parts.values], axis=0)
        return tf.scatter_nd(where, much, tf.stack([tasks, self.table_items]))

    def _sums(
        self, item: tf.Tensor, task: tf.Tensor, fold: tf.Tensor, parts: tf.SparseTensor | None
    ) -> tf.Tensor:
        """The rows of items [N], added up by the tables of each task's fold: [B, K (M + w)]."""
        if parts is None or self._add_up is None:
            inside = tf.where(item < self.table_items)[:, 0]
            item, task = tf.gather(item, inside), tf.gather(task, inside)
        if self._add_up is not None:
            sums = tf.numpy_function(self._add_up, [item, task, fold], tf.float32)
            width = self.tables * (self.table_items + self.content_width)
            return tf.ensure_shape(sums, [fold.shape[0], width])
        sums = tf.sparse.segment_sum(self.rows, item, task, num_segments=tf.shape(fold)[0])
        return sums if parts is None else sums + tf.sparse.sparse_dense_matmul(parts, self.rows)

    def _foretold(
        self, row: tf.Tensor, item: tf.Tensor, task: tf.Tensor, fold: tf.Tensor
    ) -> tf.Tensor:
        """The rows that the content of items [N] foretells, added up: [B, K (M + w)]."""
        content = tf.gather(self.content, row)
        if self.stand_ins:
            place = tf.stack([tf.gather(fold, task), item - self.table_items], axis=1)
            content *= 1.0 - tf.gather_nd(self.is_read, place)[:, None]
        content = tf.math.unsorted_segment_sum(content, task, tf.shape(fold)[0])  # [B, w]
        by_fold = tf.one_hot(fold, self.folds)[:, :, None] * content[:, None]
        by_fold = tf.reshape(by_fold, [-1, self.folds * self.content_width])
        return tf.matmul(by_fold, self.content_rows)

    def ranks(self, fold: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        """In the order of each task's version: int32 [B, Q]; I of an unknown item.

        Args:
          fold: int32 [B], of `Evidence`.
          row: int [B, Q], rows of the catalogue.
        """
        folds = tf.repeat(fold[:, None], tf.shape(row)[1], axis=1)
        return self._ranks(folds, tf.cast(row, tf.int32))

    def _ranks(self, fold: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        """int32 [...], of rows and folds of this shape."""
        if self.folds == 1:
            return row
        return tf.gather_nd(self.rank, tf.stack([fold, row], axis=-1))

    def places(self, fold: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """Where an item's number stands among those of table items and levels, int32 [B, Q].

        Args:
          fold: int32 [B], of `Evidence`.
          item: int32 [B, Q], ranks.
        """
        M = self.table_items
        if self.items == M:
            return item
        folds = tf.repeat(fold[:, None], tf.shape(item)[1], axis=1)
        level = tf.gather_nd(self.level, tf.stack([folds, tf.maximum(item - M, 0)], axis=-1))
        return tf.where(item < M, item, M + level)

    def in_parts(self, values: tf.Tensor, fold: tf.Tensor) -> tf.Tensor:
        """What items in no table have, by rank, of values of those that stand in for them.

        Args:
          values: float32 [B, M], of table items.
          fold: int32 [B], of `Evidence`.

        Returns:
          float32 [B, I - M].
        """
        stand_in, share = (tf.convert_to_tensor(one) for one in (self.stand_in, self.share))
        if self.folds > 1:
            theirs = tf.gather(values, tf.gather(stand_in, fold), batch_dims=1)
            return tf.reduce_sum(theirs * tf.gather(share, fold), axis=1)
        items, shares = tf.unstack(stand_in[0]), tf.unstack(share[0])
        found = tf.gather(values, items[0], axis=1) * shares[0]
        for item, much in zip(items[1:], shares[1:], strict=True):
            # Each is as large as the scores: the next one waits.
            with tf.control_dependencies([found]):
                found += tf.gather(values, item, axis=1) * much
        return found

    def in_parts_of(self, values: tf.Tensor, fold: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """The same of these alone, int32 [B, Q] ranks that are in no table: float32 [B, Q]."""
        folds = tf.repeat(fold[:, None], tf.shape(item)[1], axis=1)
        stand_in, share = self._standing_in(folds, item)
        theirs = tf.gather(values, stand_in, batch_dims=1)
        return tf.reduce_sum(theirs * share, axis=2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._sizes}
