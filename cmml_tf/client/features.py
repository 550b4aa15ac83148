"""Requests that describe items and users by their features, without ids or beside them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cmml_tf.client.contract import Contract
from cmml_tf.client.encoding import STRING, fill_numeric
from cmml_tf.client.errors import InputError
from cmml_tf.client.requests import fill_rows, fill_tasks, read_lengths, same_lengths, same_tasks
from cmml_tf.client.rows import Rows, Values, read_numbers, read_rows, spread

SIGNATURE = "score_features"
_PREFIXES = {
    "support_items": "support_item_",
    "query_items": "query_item_",
    "user": "user_",
    "support_users": "support_user_",
    "query_users": "query_user_",
}


class Tables(NamedTuple):
    """What a caller says of items and users: mappings or tables of columns, None for none.

    Attributes:
      support_items, query_items: Of the items, [S] and [Q] or B rows each.
      user: User setting: a value each for one task, or B values.
      support_users, query_users: Scenario setting: of the users of the pairs, as the items' or one
        value for all pairs, or for those of a task.
    """

    support_items: Any
    query_items: Any
    user: Any = None
    support_users: Any = None
    query_users: Any = None


class FeatureRequest(NamedTuple):
    """Supports and queries of B tasks by features, ready to send.

    Attributes:
      rows: Inputs by name: [B, S] and [B, Q] of pairs, and [B] of users as one row. Those of
        vectors hold a row of numbers for each value.
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
            elif isinstance(rows.flat, np.ndarray) and rows.flat.ndim == 2:
                vectors = rows.flat.reshape(count, rows.width, -1)
                fill_numeric(request.inputs[name], vectors, self.dtypes[name])
            else:
                fill_rows(request, name, rows, self.dtypes[name], count)
        fill_numeric(request.inputs["support_length"], self.lengths, self.dtypes["support_length"])


def read_features(contract: Contract, tables: Tables, label: Any, length: Any) -> FeatureRequest:
    """Reads features of support pairs, query pairs and, in the user setting, of the tasks' users.

    Args:
      contract: Says which features the model has.
      tables: The features.
      label: Labels of the support pairs, [S] or B rows.
      length: int [B], support pairs that count; None for all.

    Raises:
      InputError: Naming the feature that is missing, unknown, or of another type or length, or the
        argument that belongs to the other setting.
    """
    dtypes = contract.dtypes(SIGNATURE)
    labels = read_numbers("support_label", label, dtypes["support_label"])
    by_pair = "support_user_id" in dtypes
    _right_arguments(tables, by_pair)
    read = _Reader(dtypes, contract.vector_widths(SIGNATURE), labels.single)
    supports = read.columns("support_items", tables.support_items)
    queries = read.columns("query_items", tables.query_items)
    first, rows = next(iter(queries.items()))
    if by_pair:
        supports |= read.of_pairs("support_users", tables.support_users, labels)
        queries |= read.of_pairs("query_users", tables.query_users, rows)
    same_lengths({**supports, "support_label": labels})
    lengths = read_lengths(labels, length, dtypes)
    same_lengths(queries)
    same_tasks(first, rows, len(lengths), labels.single)
    users = {} if by_pair else read.of_tasks("user", tables.user or {}, len(lengths))
    return FeatureRequest(
        {**supports, **queries, **users}, labels, lengths, rows.lengths, dtypes, range(len(lengths))
    )


def _right_arguments(tables: Tables, by_pair: bool) -> None:
    other = ("user",) if by_pair else ("support_users", "query_users")
    for name in other:
        if getattr(tables, name) is not None:
            wanted = "`support_users` and `query_users`" if by_pair else "`user`"
            raise InputError(
                f"`{name}` must be left out: this model's users are described by {wanted}."
            )


class _Reader(NamedTuple):
    """Reads tables of columns by what the signature says.

    Attributes:
      dtypes: TensorFlow dtypes by name of the input.
      widths: Numbers of those that are vectors.
      single: One task is given as flat columns.
    """

    dtypes: dict[str, int]
    widths: dict[str, int]
    single: bool

    def columns(self, argument: str, table: Any) -> dict[str, Rows[Values]]:
        """The columns of a table, by the names of the inputs."""
        given = self._given(argument, table)
        return {name: self._rows(name, values) for name, values in given.items()}

    def of_tasks(self, argument: str, table: Any, tasks: int) -> dict[str, Rows[Values]]:
        """The same with one value for each task; a bare one for a single task."""
        given = self._given(argument, table)
        users = {
            name: self._rows(name, [values] if self.single and _is_bare(values) else values)
            for name, values in given.items()
        }
        for name, one in users.items():
            if not one.single or one.lengths != [tasks]:
                raise InputError(
                    f"`{name}` must be one value for each task. "
                    f"Received: {one.lengths[:5]} for {tasks} tasks."
                )
        return users

    def of_pairs(self, argument: str, table: Any, like: Rows[Values]) -> dict[str, Rows[Values]]:
        """The same with a value for each pair, for all pairs, or for all pairs of each task."""
        read = {}
        for name, values in self._given(argument, table).items():
            if name in self.widths:
                read[name] = self._rows(name, values)
                continue
            bare = _is_bare(values)
            rows = self._rows(name, [values] if bare else values)
            tasks = len(like.lengths)
            if bare:
                rows = spread(rows, [like.width * tasks], like)
            elif rows.single and not like.single and rows.lengths == [tasks]:
                rows = spread(rows, [like.width] * tasks, like)
            read[name] = rows
        return read

    def _given(self, argument: str, table: Any) -> dict[str, Any]:
        prefix = _PREFIXES[argument]
        if not (isinstance(table, Mapping) or hasattr(table, "columns")):
            raise InputError(
                f"`{argument}` must be a mapping or a table from feature to values. "
                f"Received: {type(table).__name__}."
            )
        given = {f"{prefix}{name}": table[name] for name in _names(table)}
        wanted = [name for name in self.dtypes if name.startswith(prefix)]
        for name in sorted(set(wanted) ^ set(given)):
            known = ", ".join(one.removeprefix(prefix) for one in wanted) or "none"
            verb = "must hold" if name in wanted else "must not hold"
            raise InputError(
                f"`{argument}` {verb} the feature `{name.removeprefix(prefix)}`: "
                f"the model's features are {known}."
            )
        return {name: given[name] for name in wanted}

    def _rows(self, name: str, values: Any) -> Rows[Values]:
        if name in self.widths:
            return _read_vectors(name, values, self.widths[name], self.single)
        dtype = self.dtypes[name]
        return read_rows(name, _known(values, "" if dtype == STRING else math.nan), dtype)


def _is_bare(values: Any) -> bool:
    return isinstance(values, (str, bytes)) or not hasattr(values, "__len__")


def _read_vectors(name: str, values: Any, width: int, single: bool) -> Rows[np.ndarray]:
    """Reads one input of vectors.

    Args:
      name: Its name, for errors.
      values: A vector (or None, unknown) for each pair of a task; or B of such sequences.
      width: Numbers of a vector.
      single: There is one task.

    Returns:
      Rows whose values are float32 [B * longest, width], NaN where unknown; the shorter are padded
      with their own first.

    Raises:
      InputError: Not sequences, or a vector of another width.
    """
    try:
        tasks = [_vectors(one, width) for one in ([values] if single else list(values))]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"`{name}` must be a vector of {width} numbers, or None, for each pair. {error}"
        ) from error
    longest = max([1, *map(len, tasks)])
    padded = np.full((len(tasks), longest, width), np.nan, np.float32)
    for row, task in zip(padded, tasks, strict=True):
        if len(task):
            row[: len(task)] = task
            row[len(task) :] = task[0]
    return Rows(padded.reshape(-1, width), [*map(len, tasks)], longest, single)


def _vectors(values: Any, width: int) -> np.ndarray:
    """float32 [N, width]."""
    rows = list(values)
    found = np.full((len(rows), width), np.nan, np.float32)
    for row, vector in zip(found, rows, strict=True):
        if vector is None or (np.ndim(vector) == 0 and vector != vector):
            continue
        given = np.asarray(vector, np.float32)
        if given.shape != (width,):
            raise ValueError(f"Received: one of shape {list(given.shape)}.")
        row[:] = given
    return found


def _names(table: Any) -> list[Any]:
    return list(table if isinstance(table, Mapping) else table.columns)


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
