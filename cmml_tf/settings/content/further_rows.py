"""Items or users that came after the training: their ids, and their content by the fitted encoder.

Nothing is trained. What a model knows of them is what it knows of any item that nobody has taken.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cmml_tf.content.encoder import ContentEncoder
from cmml_tf.datasets.feature_table import FeatureTable, Side
from cmml_tf.datasets.given_tables import Table, place_table
from cmml_tf.datasets.reading.ids import as_text, is_text, rows_of
from cmml_tf.datasets.sources.feature_file import load_feature_table
from cmml_tf.datasets.sources.feature_kinds import DeclaredKinds


class FurtherRows(NamedTuple):
    """Ids int64 or object of str [N], of the known ids' kind, and content float32 [N, c]."""

    ids: np.ndarray
    content: np.ndarray


def further_rows(
    known: np.ndarray, encoder: ContentEncoder, side: Side, table: Table
) -> FurtherRows:
    """The rows of a table whose ids are not known yet, in its order.

    Columns that the encoder does not have are passed over; what it has and the table does not is
    unknown.

    Args:
      known: The ids of the rows that there are.
      encoder: Fitted with them.
      side: What the table is of.
      table: A column `item` (`user`) and features.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: The table is not accepted, see `load_feature_table`, or its ids are text while
        those that are known are integers.
    """
    kinds: dict[str, str] = {feature.name: feature.kind for feature in encoder.features}
    found = _load(table, side, DeclaredKinds(kinds, kinds, alone=True))
    ids = found.ids
    if is_text(known) and not is_text(ids):
        ids = as_text(ids)
    if is_text(ids) != is_text(known):
        raise ValueError(
            f"The {side} ids of {found.name} must be integers, as those of the model are. "
            f"Received: {next(one for one in ids if not _is_whole(one))[:40]!r}."
        )
    new = np.flatnonzero(rows_of(ids, known) < 0)
    columns = [column._replace(values=column.values[new]) for column in found.columns]
    content = encoder.encode(columns) if columns else np.zeros([len(new), encoder.dimension])
    return FurtherRows(ids[new], content.astype(np.float32))


def _load(table: Table, side: Side, kinds: DeclaredKinds) -> FeatureTable:
    if isinstance(table, str | Path):
        return load_feature_table(table, side, kinds).table
    with tempfile.TemporaryDirectory() as folder:
        path = place_table(table, Path(folder), f"{side}s")
        return load_feature_table(path, side, kinds).table


def _is_whole(one: str) -> bool:
    return one.removeprefix("-").isdecimal()
