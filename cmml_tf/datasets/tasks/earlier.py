"""An earlier state of a log: which rows its ids had, and which tasks were learned from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from cmml_tf.datasets.reading.ids import as_array, as_text, is_text, rows_of
from cmml_tf.files import write_whole

_FILES = {name: f"{name}.parquet" for name in ("user_ids", "item_ids", "tasks", "features")}
EARLIER_FILES = tuple(_FILES.values())
"""Names of the files that hold an `Earlier`."""


@dataclass(frozen=True)
class Earlier:
    """What a run that is continued knew.

    Attributes:
      user_ids, item_ids: int64 or object of str, the raw id of each row.
      tasks: Names of the scenarios, object of str, or ids of the users that were learned from.
      features: Features of items and users, object of str, such as `item price (numeric)`.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    tasks: np.ndarray
    features: np.ndarray

    def save(self, folder: Path) -> None:
        """Writes `EARLIER_FILES`, each whole."""
        for name, file in _FILES.items():
            values = getattr(self, name)
            kind = pa.large_string() if is_text(values) else pa.int64()
            table = pa.table({"id": pa.array(values, kind)})
            write_whole(folder / file, lambda out, table=table: pa.parquet.write_table(table, out))

    @classmethod
    def load(cls, folder: Path) -> "Earlier":
        """Reads what `save` wrote.

        Raises:
          ValueError: A file is missing or damaged; the message names it.
        """
        found = {}
        for name, file in _FILES.items():
            path = folder / file
            try:
                found[name] = as_array(pa.parquet.read_table(path)["id"].combine_chunks())
            except (OSError, KeyError, pa.ArrowInvalid) as error:
                raise ValueError(
                    f"{path} is missing or damaged, so the run cannot be continued with further "
                    "data: an earlier version of the library wrote it, or it is not complete. "
                    "Train without `continue_from`."
                ) from error
        return cls(**found)


def earlier_first(earlier: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The ids that an earlier state had, in its order, then those of `ids` that are new, in theirs.

    Args:
      earlier: int64 or object of str.
      ids: Distinct.

    Raises:
      ValueError: They were integers, and now some are none.

    Example:

    >>> earlier_first(np.array([7, 3]), np.array([1, 3, 9])).tolist()
    [7, 3, 1, 9]
    """
    if is_text(earlier):
        ids = as_text(ids)
    elif is_text(ids):
        raise ValueError(
            f"The ids must be integers, as those of the run that is continued are. Received: "
            f"{str(ids[0])[:40]!r}. Train without `continue_from`."
        )
    return np.concatenate([earlier, ids[rows_of(ids, earlier) < 0]])
