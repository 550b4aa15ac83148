"""Filling a table of one row an id, of which there may be many."""

import numpy as np
import tensorflow as tf

_BLOCK_ROWS = 65_536


def fill_table(table: tf.Variable, values: np.ndarray, name: str, rows: int | None = None) -> None:
    """Sets the leading rows of a table, block by block.

    So values mapped from a file (`numpy.load(..., mmap_mode="r")`) are in memory once, in the
    table. A table of a `tf.distribute` strategy is filled in its scope.

    Args:
      table: float32 [R, d].
      values: float [rows, d].
      name: How messages call the values.
      rows: How many there are; None: R.

    Raises:
      ValueError: The shape is another, or a value is not finite.
    """
    expected = (table.shape[0] if rows is None else rows, table.shape[1])
    if values.shape != expected:
        raise ValueError(f"`{name}` must have the shape {expected}. Received: {values.shape}.")
    for first in range(0, len(values), _BLOCK_ROWS):
        block = np.asarray(values[first : first + _BLOCK_ROWS], np.float32)
        if not np.isfinite(block).all():
            raise ValueError(f"`{name}` must be finite. Received: NaN or infinite values.")
        place = tf.range(first, first + len(block))
        for variable in tf.distribute.get_strategy().experimental_local_results(table):
            # Not a slice's `assign`, which a parameter server's variables lack.
            variable.scatter_update(tf.IndexedSlices(block, place))
