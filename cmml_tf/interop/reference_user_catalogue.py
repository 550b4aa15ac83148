"""Which users and movies the reference implementation's user models know, by feature numbers.

An .npz file of integers: `movie_id`, `rate` [I], `genre`, `director`, `actor` [I, n] (behind an
item's values: -1), `user_id`, `gender`, `age`, `occupation`, `zip` [U]; each number is a row of the
feature's embedding table. No TensorFlow.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmml_tf.interop.npz_arrays import read_integer_arrays
from cmml_tf.interop.reference_user_weights import (
    ITEM_FEATURES,
    USER_FEATURES,
    ReferenceUserWeights,
)
from cmml_tf.types import Feature, FeatureColumn, starts_of

_IDS = {"item": "movie_id", "user": "user_id"}
_SEVERAL = ("genre", "director", "actor")


@dataclass(frozen=True)
class ReferenceCatalogue:
    """Ids and features, in the order of the file. A feature's values are called by their numbers.

    Attributes:
      item_ids, user_ids: int64 [I] and [U].
      item_columns, user_columns: Features in the order that the weights need.
    """

    item_ids: np.ndarray
    user_ids: np.ndarray
    item_columns: tuple[FeatureColumn, ...]
    user_columns: tuple[FeatureColumn, ...]


def read_reference_catalogue(path: str | Path, weights: ReferenceUserWeights) -> ReferenceCatalogue:
    """Reads the features of all users and movies.

    Args:
      path: An .npz file as described above; further arrays in it are not read.
      weights: The model, whose tables the numbers point into.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is no .npz file, an array is missing, of another shape or not of integers, an
        id repeats, or a number lies outside its table.
    """
    path = Path(path)
    arrays = read_integer_arrays(path, [*_IDS.values(), *ITEM_FEATURES, *USER_FEATURES])
    columns, ids = {}, {}
    for side, names in (("item", ITEM_FEATURES), ("user", USER_FEATURES)):
        ids[side] = arrays[_IDS[side]]
        if ids[side].ndim != 1 or len(np.unique(ids[side])) < len(ids[side]):
            raise ValueError(f"`{_IDS[side]}` of {path.name!r} must be a list of different ids.")
        columns[side] = tuple(
            _column(name, arrays[name], len(ids[side]), weights.vocabulary_size(side, name), path)
            for name in names
        )
    return ReferenceCatalogue(ids["item"], ids["user"], columns["item"], columns["user"])


def _column(name: str, values: np.ndarray, rows: int, size: int, path: Path) -> FeatureColumn:
    several = name in _SEVERAL
    if values.ndim != 1 + several or len(values) != rows:
        shape = f"[{rows}, n]" if several else f"[{rows}]"
        raise ValueError(
            f"`{name}` of {path.name!r} must have the shape {shape}. Received: {values.shape}."
        )
    wrong = (values >= size) | (values < (-1 if several else 0))
    if wrong.any():
        raise ValueError(
            f"`{name}` of {path.name!r} must hold rows of a table of {size}. "
            f"Received: {values[wrong][0]}."
        )
    words = tuple(map(str, range(size)))
    if not several:
        kind = Feature(name, "categorical", words)
        return FeatureColumn(kind, np.append(values, size).astype(np.int32))
    counts = (values >= 0).sum(axis=1)
    feature, rows = Feature(name, "multi-hot", words), values[values >= 0].astype(np.int32)
    return FeatureColumn(feature, rows, starts_of([*counts, 0]))
