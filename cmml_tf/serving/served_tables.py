"""The tables of a model that matches by key, as a server reads them."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from cmml_tf.layers.matching.matching import Matching
from cmml_tf.layers.matching.row_tables import RowTables
from cmml_tf.models.matching_cmml import MatchingCMML

_BLOCK = 16_384


class ServedTables(tf.Module):
    """`RowTables` with what depends on no request computed beforehand.

    Behind each row stands what the model makes of it before any support is read, so that no request
    computes that; and behind all rows stands that of an unknown id.

    Args:
      tables: Filled.
      matching: Trained.

    Attributes:
      users, items, user_width, item_width: Sizes, the last row left out.
    """

    def __init__(self, tables: RowTables, matching: Matching) -> None:
        super().__init__()
        self.users, self.items = tables.users, tables.items
        # Functions: what a module holds itself is saved with it.
        self.seen = {
            "user": lambda rows: matching.with_user_view(rows),
            "item": lambda rows: matching.item_tower.with_view(rows),
        }
        self.user_table = _seen(tables.user_table, self.seen["user"])
        self.item_table = _seen(tables.item_table, self.seen["item"])
        self.user_width, self.item_width = self.user_table.shape[1], self.item_table.shape[1]
        # A constant: what is made of it is computed once, when a version is loaded.
        self._catalogue = tf.gather(self.item_table, tables.sampled_rows()).numpy()

    def user_rows(self, key: tf.Tensor) -> tf.Tensor:
        """int64 [...] -> float32 [..., user_width]."""
        return _looked_up(self.user_table, key, self.users)

    def item_rows(self, key: tf.Tensor) -> tf.Tensor:
        """int64 [...] -> float32 [..., item_width]."""
        return _looked_up(self.item_table, key, self.items)

    def catalogue_rows(self) -> tf.Tensor:
        """Rows that stand for the catalogue, as of `RowTables`."""
        return tf.constant(self._catalogue)


def as_served(model: MatchingCMML) -> MatchingCMML:
    """The model with `ServedTables`, of which it has copies; its layers are shared."""
    if isinstance(model.tables, ServedTables):
        return model
    return MatchingCMML(ServedTables(model.tables, model.matching), model.matching)


def _seen(table: tf.Variable, view: Callable[[np.ndarray], tf.Tensor]) -> tf.Variable:
    rows = np.pad(table.numpy(), [(0, 1), (0, 0)])
    blocks = [view(rows[first : first + _BLOCK]).numpy() for first in range(0, len(rows), _BLOCK)]
    return tf.Variable(np.concatenate(blocks), trainable=False)


def _looked_up(table: tf.Variable, key: tf.Tensor, rows: int) -> tf.Tensor:
    fixed = None if tf.executing_eagerly() else tf.get_static_value(key)
    if fixed is not None:
        # Of the same keys in every request: what is made of them alone is computed once.
        with tf.init_scope():
            read = _looked_up(table, tf.constant(fixed), rows).numpy()
        return tf.constant(read)
    # As a number without a sign, a key below 0 is beyond all rows.
    row = tf.minimum(tf.bitcast(key, tf.uint64), tf.constant(rows, tf.uint64))
    return tf.gather(table, tf.bitcast(row, tf.int64))
