"""What is exported of a matching model: its ids, and what it knows of ids that it has not."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from cmml_tf.datasets.feature_table import Side
from cmml_tf.models.build_matching import with_tables
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.serving.catalogue.membership import Membership
from cmml_tf.serving.content_graph import ServedContent
from cmml_tf.serving.content_graph import SideContent as ServedSide
from cmml_tf.settings.base import Served
from cmml_tf.settings.content.further_rows import further_rows
from cmml_tf.settings.content.side_content import SideContent
from cmml_tf.settings.scenario.parts import ScenarioParts


class _Side(NamedTuple):
    ids: np.ndarray
    rows: np.ndarray
    content: ServedSide | None
    described: np.ndarray | None


def served_matching(
    model: MatchingCMML,
    prepared: ScenarioParts,
    further: Mapping[str, Any] | None = None,
) -> Served:
    """The model with rows for further users and items, and with what makes rows of features.

    Args:
      model: Trained.
      prepared: What it was trained with.
      further: Tables of `items` and `users` that came after the training.

    Raises:
      ValueError: A table is not accepted, or nothing was known of such features in training.
    """
    tables, given = prepared.matching, further or {}
    data = prepared.data
    user = _side(
        "user", data.user_ids, tables.rows.user, prepared.user_content, tables.user_map, given
    )
    item = _side(
        "item", data.item_ids, tables.rows.item, prepared.item_content, tables.item_map, given
    )
    if any(table is not None for table in given.values()):
        # What stands for the catalogue stays what it was in training.
        model = with_tables(model.matching, user.rows, item.rows, len(data.item_ids))
    options: dict[str, Any] = {
        "membership": membership_of(prepared, item.described, item.rows),
    }
    if user.content is not None or item.content is not None:
        options["content"] = ServedContent(user.content, item.content)
    return Served(model, user.ids, item.ids, options)


def membership_of(
    prepared: ScenarioParts, content: np.ndarray | None, rows: np.ndarray
) -> Membership:
    """What tells items of a scenario from the rest of a catalogue.

    Args:
      prepared: What the model was trained with.
      content: float [I, c], of the catalogue; None where its items have none.
      rows: float32 [I, ...].
    """
    found = prepared.matching.membership
    return Membership(found.places(content, rows), found.ratios, found.numbers)


def _side(
    side: Side,
    ids: np.ndarray,
    rows: np.ndarray,
    content: SideContent | None,
    to_row: np.ndarray | None,
    further: Mapping[str, Any],
) -> _Side:
    table = further.get(f"{side}s")
    described = None if content is None else content.matrix
    served = None
    if content is not None and to_row is not None:
        served = ServedSide(content.encoder, to_row)
    if table is None:
        return _Side(ids, rows, served, described)
    if content is None or to_row is None:
        raise ValueError(
            f"`{side}s` must be left out: the model was trained without features of {side}s, so "
            f"it can know nothing of further ones. Train it with a table of {side}s."
        )
    new = further_rows(ids, content.encoder, side, table)
    made = np.concatenate([new.content, np.ones([len(new.ids), 1])], axis=1) @ to_row
    return _Side(
        np.concatenate([ids, new.ids]),
        np.concatenate([rows, made.astype(np.float32)]),
        served,
        np.concatenate([content.matrix, new.content]),
    )
