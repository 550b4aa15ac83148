"""What is known of items or users, by id, and how it is put beside the rows of a data set."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from cmml_tf.datasets.reading.ids import as_text, distinct, is_text, rows_of
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.types import ContentColumn

Side = Literal["item", "user"]


class FeatureTable(NamedTuple):
    """Features by raw id.

    Attributes:
      name: Where they come from.
      ids: int64 or object of str [N], each once.
      columns: Their features.
      is_catalogue: Whether ids that no interaction has are items (users) all the same.
    """

    name: str
    ids: np.ndarray
    columns: tuple[ContentColumn, ...]
    is_catalogue: bool = True


def content_column(name: str, kind: str, values: Sequence[Any]) -> ContentColumn:
    """A feature of N rows from Python values, as `ContentColumn` has them."""
    if kind == "numeric":
        return ContentColumn(name, kind, np.array(values, np.float64))
    if kind == "vector":
        return ContentColumn(name, kind, np.array(values, np.float32))
    return ContentColumn(name, kind, np.fromiter(values, object, len(values)))


class Extended(NamedTuple):
    """A catalogue with features.

    Attributes:
      ids: Those that there were, then those of the table alone.
      columns: The features of each.
      counts: How many have features, for people.
    """

    ids: np.ndarray
    columns: tuple[ContentColumn, ...]
    counts: dict[str, int]


def extended(known: np.ndarray, side: Side, table: FeatureTable, name: str) -> Extended:
    """A catalogue with a table of features; its ids that are new are further rows behind.

    If the ids of one are integers and those of the other text, all become text.

    Args:
      known: int64 or object of str, the ids of the catalogue.
      side: What they are of.
      table: Features. Of rows that it does not have nothing is known.
      name: Of the data set, for messages.

    Raises:
      ValueError: No id of the table is one of the catalogue.
    """
    given = table.ids
    if is_text(known) != is_text(given):
        known, given = as_text(known), as_text(given)
    rows = rows_of(given, known)
    met = int((rows >= 0).sum())
    if not met:
        raise ValueError(
            f"The {side}s of {table.name} must be those of {name}; none is. Received: "
            f"{side} {str(given[0])[:40]!r}, and {name} has {str(known[0])[:40]!r}."
        )
    new = distinct(given[rows < 0])[0] if table.is_catalogue else given[:0]
    ids = np.concatenate([known, new])
    place = rows_of(ids, given)
    counts = {
        f"{side}s with features": met,
        f"{side}s without features": len(known) - met,
        f"{side}s in no interaction, known by their features": len(new),
    }
    found = {what: count for what, count in counts.items() if count}
    columns = tuple(_taken(column, place) for column in table.columns)
    return Extended(ids, columns, found if table.is_catalogue else {})


def with_features(data: ScenarioData, side: Side, table: FeatureTable) -> ScenarioData:
    """The data with features; see `extended`.

    Args:
      data: Any data set.
      side: What the table is of.
      table: Features.

    Raises:
      ValueError: No id of the table is one of the data.
    """
    known = getattr(data, f"{side}_ids")
    found = extended(known, side, table, data.name)
    changes: dict[str, Any] = {
        f"{side}_ids": found.ids,
        f"{side}_features": found.columns,
        "counts": data.counts | found.counts,
    }
    embeddings, new = getattr(data, f"{side}_embeddings"), len(found.ids) - len(known)
    if embeddings is not None and new:
        changes[f"{side}_embeddings"] = np.pad(embeddings, ((0, new), (0, 0)))
    return replace(data, **changes)


def _taken(column: ContentColumn, place: np.ndarray) -> ContentColumn:
    """The feature of the rows at these places, unknown at place -1."""
    unknown = np.empty([1, *column.values.shape[1:]], column.values.dtype)
    unknown[:] = np.nan if column.kind in ("numeric", "vector") else ""
    if column.kind == "multi-hot":
        unknown[0] = ()
    return column._replace(values=np.concatenate([column.values, unknown])[place])
