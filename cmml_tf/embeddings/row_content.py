"""Declared features of users or items as numbers, for regressions on them."""

from collections.abc import Sequence

import numpy as np

from cmml_tf.types import FeatureColumn

_MOST_VALUES = 128
_MOST_DEVIATIONS = 4.0


def content_rows(
    columns: Sequence[FeatureColumn], rows: int, kinds: Sequence[str] | None = None
) -> np.ndarray:
    """A column a value of each feature, 1 where a row has it; a number is one column.

    Of a feature the 128 values that most rows have; the others count as unknown, and so does
    everything of the last row, which stands for an unknown user or item. Ids are left out.

    Args:
      columns: Features of the same catalogue.
      rows: N known users or items.
      kinds: Kinds of features that are read; None: all but ids.

    Returns:
      float32 [N + 1, c].
    """
    read = ("categorical", "multi-hot", "numeric") if kinds is None else kinds
    blocks = [_block(column, rows) for column in columns if column.feature.kind in read]
    content = np.concatenate([np.zeros((rows + 1, 0), np.float32), *blocks], axis=1)
    content[-1] = 0.0
    return content


def with_constant(content: np.ndarray) -> np.ndarray:
    """The same with a column of ones in front, float32 [N + 1, c + 1]."""
    return np.concatenate([np.ones((len(content), 1), np.float32), content], axis=1)


def _block(column: FeatureColumn, rows: int) -> np.ndarray:
    values = column.values
    if column.feature.kind == "numeric":
        return np.clip(values, -_MOST_DEVIATIONS, _MOST_DEVIATIONS).astype(np.float32)[:, None]
    size = len(column.feature.vocabulary)
    row = np.arange(rows + 1)
    if column.starts is not None:
        row = np.repeat(row, np.diff(column.starts))
    known = values < size
    row, values = row[known], values[known]
    count = np.bincount(values, minlength=size)
    kept = np.sort(np.argsort(-count, kind="stable")[:_MOST_VALUES])
    place = np.full(size, -1)
    place[kept] = np.arange(len(kept))
    found = place[values]
    block = np.zeros((rows + 1, len(kept)), np.float32)
    block[row[found >= 0], found[found >= 0]] = 1.0
    return block
