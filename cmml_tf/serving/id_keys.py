"""Ids of a request as what the model takes for them: rows of its tables, or keys."""

from typing import NamedTuple

import tensorflow as tf


class Keys(NamedTuple):
    """Ids as the model takes them.

    Attributes:
      key: int64 [...].
      known: bool [...], whether the export knows the id.
    """

    key: tf.Tensor
    known: tf.Tensor


class IdKeys:
    """Ids to rows; where the model matches by key, an unknown id to a number that is no row.

    Of strings that number is a hash of 62 bits behind the rows, so that two ids share one in
    practice never. Of integers it is the id with its sign turned, so below 0 for ids that are not;
    different ids have different ones (but for ids as near to -2^63 as there are rows).

    Args:
      table: Ids to rows, unknown ones to `rows`.
      rows: Known ids.
      by_key: As of the model.
    """

    def __init__(self, table: tf.lookup.StaticHashTable, rows: int, by_key: bool) -> None:
        self._table = table
        self._rows = rows
        self._by_key = by_key

    def __call__(self, ids: tf.Tensor) -> Keys:
        """int64 or string [...] -> `Keys` of the same shape."""
        # Not by its `lookup`, whose default value is handed through every loop.
        row = tf.raw_ops.LookupTableFindV2(
            table_handle=self._table.resource_handle,
            keys=ids,
            default_value=tf.constant(self._rows, tf.int64),
        )
        row.set_shape(ids.shape)
        known = tf.not_equal(row, self._rows)
        return Keys(tf.where(known, row, self._unknown(ids)) if self._by_key else row, known)

    def _unknown(self, ids: tf.Tensor) -> tf.Tensor:
        if ids.dtype == tf.string:
            return self._rows + 1 + tf.strings.to_hash_bucket_fast(ids, 2**62)
        return tf.bitwise.bitwise_xor(ids, tf.constant(tf.int64.min, tf.int64))
