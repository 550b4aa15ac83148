"""Requests of the user setting that describe items and users by their features, without ids."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cmml_tf.client.contract import Contract
from cmml_tf.client.encoding import STRING, fill_numeric
from cmml_tf.client.errors import InputError
from cmml_tf.client.requests import fill_rows, fill_tasks, read_lengths, same_lengths, same_tasks
from cmml_tf.client.rows import Rows, Values, read_numbers, read_rows

SIGNATURE = "score_features"
_PREFIXES = {
    "support_items": "support_item_",
    "query_items": "query_item_",
    "user": "user_",
}


class FeatureRequest(NamedTuple):
    """Supports and queries of B tasks by features, ready to send.

    Attributes:
      rows: Inputs by name: [B, S] and [B, Q] of items, and [B] of users as one row.
      label: Labels of the supports.
      lengths: int32 [B], support pairs that count.
      queries: Query pairs of each task.
      dtypes: TensorFlow dtypes by name.
      tasks: Positions of the tasks in the caller's call.
    """

    rows: dict[str, Rows[Values]]
    label: Rows[np.ndarray]
    lengths: np.ndarray
    queries: list[int]
    dtypes: dict[str, int]
    tasks: Sequence[int]

    def fill(self, request: Any) -> None:
        """Adds all inputs."""
        count = len(self.lengths)
        for name, rows in {**self.rows, "support_label": self.label}.items():
            if name.startswith(_PREFIXES["user"]):
                fill_tasks(request, name, rows, self.dtypes[name])
            else:
                fill_rows(request, name, rows, self.dtypes[name], count)
        fill_numeric(request.inputs["support_length"], self.lengths, self.dtypes["support_length"])


def read_features(
    contract: Contract, support: Any, label: Any, query: Any, user: Any, length: Any
) -> FeatureRequest:
    """Reads features of support items, query items and the tasks' users.

    Args:
      contract: Says which features the model has.
      support: Features of the support items: a mapping or table of columns, [S] or B rows each.
      label: Their ratings, [S] or B rows.
      query: Features of the query items, likewise [Q] or B rows.
      user: Features of the users: a value each for one task, or B values; None for no features.
      length: int [B], support pairs that count; None for all.

    Raises:
      InputError: Naming the feature that is missing, unknown, or of another type or length.
    """
    dtypes = contract.dtypes(SIGNATURE)
    labels = read_numbers("support_label", label, dtypes["support_label"])
    supports = _columns(dtypes, "support_items", support)
    same_lengths({**supports, "support_label": labels})
    lengths = read_lengths(labels, length, dtypes)
    queries = _columns(dtypes, "query_items", query)
    same_lengths(queries)
    first, rows = next(iter(queries.items()))
    same_tasks(first, rows, len(lengths), labels.single)
    users = _columns(dtypes, "user", user or {}, bare=labels.single)
    for name, one in users.items():
        if not one.single or one.lengths != [len(lengths)]:
            raise InputError(
                f"`{name}` must be one value for each task. "
                f"Received: {one.lengths[:5]} for {len(lengths)} tasks."
            )
    return FeatureRequest(
        {**supports, **queries, **users}, labels, lengths, rows.lengths, dtypes, range(len(lengths))
    )


def _columns(
    dtypes: dict[str, int], argument: str, table: Any, *, bare: bool = False
) -> dict[str, Rows[Values]]:
    """The columns of a table, by the names of the inputs; `bare` values are rows of one."""
    prefix = _PREFIXES[argument]
    if not (isinstance(table, Mapping) or hasattr(table, "columns")):
        raise InputError(
            f"`{argument}` must be a mapping or a table from feature to values. "
            f"Received: {type(table).__name__}."
        )
    given = {f"{prefix}{name}": table[name] for name in _names(table)}
    wanted = [name for name in dtypes if name.startswith(prefix)]
    for name in sorted(set(wanted) ^ set(given)):
        known = ", ".join(one.removeprefix(prefix) for one in wanted) or "none"
        verb = "must hold" if name in wanted else "must not hold"
        raise InputError(
            f"`{argument}` {verb} the feature `{name.removeprefix(prefix)}`: "
            f"the model's features are {known}."
        )
    return {name: _rows(name, given[name], dtypes[name], bare) for name in wanted}


def _names(table: Any) -> list[Any]:
    return list(table if isinstance(table, Mapping) else table.columns)


def _rows(name: str, values: Any, dtype: int, bare: bool) -> Rows[Values]:
    if bare and (isinstance(values, (str, bytes)) or not hasattr(values, "__len__")):
        values = [values]
    return read_rows(name, _known(values, "" if dtype == STRING else math.nan), dtype)


def _known(values: Any, unknown: Any) -> Any:
    """Values with what a table leaves out, None or NaN, in the model's way of writing unknown."""
    if isinstance(values, np.ndarray):
        # A column of nothing but unknown words is one of floats to pandas.
        fits = values.dtype.kind != "O" and not (values.dtype.kind == "f" and unknown == "")
        return values if fits else _known(values.tolist(), unknown)
    if hasattr(values, "to_numpy"):
        return _known(values.to_numpy(), unknown)
    if isinstance(values, (list, tuple)):
        return [_known(value, unknown) for value in values]
    return unknown if values is None or values != values else values
