"""The tables of a model that matches by key, as a server reads them."""

import numpy as np
import tensorflow as tf

from cmml_tf.layers.matching.item_view import ItemTower
from cmml_tf.layers.matching.row_tables import RowTables
from cmml_tf.models.matching_cmml import MatchingCMML

_BLOCK = 16_384


class ServedTables(tf.Module):
    """`RowTables` with what depends on no request computed beforehand.

    Behind each item's row stands what the item tower makes of it, so that no request asks the
    tower; and behind all rows stands that of an unknown id.

    Args:
      tables: Filled.
      tower: Trained.

    Attributes:
      users, items, user_width, item_width: Sizes, the last row left out.
    """

    def __init__(self, tables: RowTables, tower: ItemTower) -> None:
        super().__init__()
        self.users, self.items = tables.users, tables.items
        self.user_width = tables.user_width
        self.item_width = tables.item_width + tower.view_width
        # A function: what a module holds itself is saved with it.
        self._with_view = lambda rows: tower.with_view(rows)
        self._sampled = tables.sampled_rows().numpy()
        self.user_table = tf.Variable(_with_unknown(tables.user_table), trainable=False)
        rows = _with_unknown(tables.item_table)
        seen = np.empty([len(rows), self.item_width], np.float32)
        for first in range(0, len(rows), _BLOCK):
            seen[first : first + _BLOCK] = self.seen(rows[first : first + _BLOCK])
        self.item_table = tf.Variable(seen, trainable=False)

    def seen(self, rows: tf.Tensor) -> tf.Tensor:
        """Rows of items as the table holds them: float32 [..., w] -> [..., item_width]."""
        return self._with_view(rows)

    def user_rows(self, key: tf.Tensor) -> tf.Tensor:
        """int64 [...] -> float32 [..., user_width]."""
        return _looked_up(self.user_table, key, self.users)

    def item_rows(self, key: tf.Tensor) -> tf.Tensor:
        """int64 [...] -> float32 [..., item_width]."""
        return _looked_up(self.item_table, key, self.items)

    def catalogue_rows(self) -> tf.Tensor:
        """Rows that stand for the catalogue, as of `RowTables`."""
        return tf.gather(self.item_table, self._sampled)


def as_served(model: MatchingCMML) -> MatchingCMML:
    """The model with `ServedTables`, of which it has copies; its layers are shared."""
    if isinstance(model.tables, ServedTables):
        return model
    return MatchingCMML(ServedTables(model.tables, model.matching.item_tower), model.matching)


def _with_unknown(table: tf.Variable) -> np.ndarray:
    return np.pad(table.numpy(), [(0, 1), (0, 0)])


def _looked_up(table: tf.Variable, key: tf.Tensor, rows: int) -> tf.Tensor:
    known = (key >= 0) & (key < rows)
    return tf.gather(table, tf.where(known, key, rows))
