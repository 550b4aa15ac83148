"""What a source of raw logs is read into: who took what, and what is known of the items."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd


class EmbeddingTable(NamedTuple):
    """Embeddings that a source ships, by raw id.

    Attributes:
      ids: int64 or object of str [N], sorted, each once.
      matrix: float32 [N, d].
    """

    ids: np.ndarray
    matrix: np.ndarray


@dataclass(frozen=True)
class Interactions:
    """A table of interactions and a catalogue of items.

    Attributes:
      name: Where it comes from, e.g. `ml-1m`.
      table: Columns `user`, `item` (raw ids, integer or str), `value` (a rating, or 1) and
        `timestamp` (seconds since 1970, NaN where unknown; all the same where there are none or
        none were read); further columns, e.g. `scenario`, may define scenarios.
      catalogue: Column `item`, one row each, and what is known of it: `title`, `year` (NaN where
        unknown), `genres` and `tags` (tuples of str), any other. May be without rows.
      user_embeddings, item_embeddings: Where the source ships them, both. Their ids are then all
        users and items there are: an interaction of another id is left out.
      pool: Columns `scenario` and `item`: further items of the scenarios of the table's column
        `scenario`, which are candidates though nobody took them.
      counts: What reading left out.
      columns: All columns of the source, read or not, for messages; empty: those of the table.

    Raises:
      ValueError: A column is missing, an id or value is, or there is nothing; the message names
        row and column.
    """

    name: str
    table: pd.DataFrame
    catalogue: pd.DataFrame
    user_embeddings: EmbeddingTable | None = None
    item_embeddings: EmbeddingTable | None = None
    pool: pd.DataFrame | None = None
    counts: dict[str, int] = field(default_factory=dict)
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        missing = [
            column
            for column in ("user", "item", "value", "timestamp")
            if column not in self.table.columns
        ]
        if missing:
            raise ValueError(
                f"{self.name} must have a column {missing[0]!r}. "
                f"Received: {', '.join(map(str, self.table.columns))}."
            )
        if not len(self.table):
            raise ValueError(f"{self.name} has no interactions. Give a file with at least one row.")
        for column in ("user", "item"):
            absent = self.table[column].isna().to_numpy()
            if absent.any():
                raise ValueError(
                    f"{self.name}: row {int(np.argmax(absent)) + 1} has no {column} (column "
                    f"{column!r}). Remove the rows without one; there are {int(absent.sum())}."
                )
        if not pd.api.types.is_numeric_dtype(self.table["value"]):
            raise ValueError(
                f"{self.name}: column 'value' must hold numbers. "
                f"Received: {self.table['value'].dtype}."
            )
        finite = np.isfinite(self.table["value"].to_numpy(dtype=np.float64, na_value=np.nan))
        if not finite.all():
            raise ValueError(
                f"{self.name}: row {int(np.argmin(finite)) + 1} has NaN or an infinite number as "
                f"its rating (column 'value'). Remove such rows; there are {int((~finite).sum())}."
            )
        if "item" not in self.catalogue.columns:
            raise ValueError(f"The catalogue of {self.name} must have a column 'item'.")
        if self.catalogue["item"].duplicated().any():
            twice = self.catalogue["item"][self.catalogue["item"].duplicated()].iloc[0]
            raise ValueError(
                f"The catalogue of {self.name} must list each item once. Item {twice} stands in it "
                "several times; keep one."
            )


def without_catalogue() -> pd.DataFrame:
    """The catalogue of a source that knows nothing of its items."""
    return pd.DataFrame({"item": []})
