"""Requests from callers' values, and answers from responses; no network here."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import grpc
import numpy as np

from cmml_tf.client.context_cache import support_digest
from cmml_tf.client.contract import Contract
from cmml_tf.client.encoding import fill_numeric, fill_strings, read
from cmml_tf.client.errors import InputError
from cmml_tf.client.rows import Rows, Values, read_numbers, read_pairs, read_rows


class Support(NamedTuple):
    """The support of B tasks, ready to send; `tasks` are their positions in the caller's call."""

    user: Rows[Values]
    item: Rows[Values]
    label: Rows[np.ndarray]
    lengths: np.ndarray
    dtypes: dict[str, int]
    tasks: Sequence[int]

    def digests(self) -> list[bytes]:
        """One for each task, of the pairs before its length."""
        found = []
        for task, length in enumerate(self.lengths.tolist()):
            begin = task * self.user.width
            parts = [
                rows.flat[begin : begin + length] for rows in (self.user, self.item, self.label)
            ]
            found.append(support_digest(parts))
        return found

    def fill(self, request: Any) -> None:
        """Adds the four support inputs."""
        count = len(self.lengths)
        for name, rows in (
            ("support_user_id", self.user),
            ("support_item_id", self.item),
            ("support_label", self.label),
        ):
            fill_rows(request, name, rows, self.dtypes[name], count)
        fill_numeric(request.inputs["support_length"], self.lengths, self.dtypes["support_length"])

    def select(self, tasks: list[int]) -> "Support":
        """Some of the tasks."""
        if len(tasks) == len(self.lengths):
            return self
        return self._replace(
            user=_select(self.user, tasks),
            item=_select(self.item, tasks),
            label=_select_numbers(self.label, tasks),
            lengths=self.lengths[tasks],
            tasks=[self.tasks[i] for i in tasks],
        )


class Query(NamedTuple):
    """The query pairs of B tasks, ready to send."""

    user: Rows[Values]
    item: Rows[Values]
    dtypes: dict[str, int]

    def fill(self, request: Any) -> None:
        """Adds the two query inputs."""
        count = len(self.user.lengths)
        for name, rows in (("query_user_id", self.user), ("query_item_id", self.item)):
            fill_rows(request, name, rows, self.dtypes[name], count)


def fill_rows(request: Any, name: str, rows: Rows[Values], dtype: int, count: int) -> None:
    """Adds one input of `count` tasks."""
    _fill(request.inputs[name], rows.flat, (count, rows.width), dtype)


def _fill(proto: Any, values: Values, shape: tuple[int, ...], dtype: int) -> None:
    if isinstance(values, list):
        fill_strings(proto, values, shape)
    else:
        fill_numeric(proto, values.reshape(shape), dtype)


def _select(rows: Rows[Values], tasks: list[int]) -> Rows[Values]:
    if isinstance(rows.flat, np.ndarray):
        return _select_numbers(Rows(rows.flat, *rows[1:]), tasks)
    parts = [rows.flat[task * rows.width : (task + 1) * rows.width] for task in tasks]
    flat = [value for part in parts for value in part]
    return Rows(flat, [rows.lengths[task] for task in tasks], rows.width, rows.single)


def _select_numbers(rows: Rows[np.ndarray], tasks: list[int]) -> Rows[np.ndarray]:
    parts = [rows.flat[task * rows.width : (task + 1) * rows.width] for task in tasks]
    lengths = [rows.lengths[task] for task in tasks]
    return Rows(np.concatenate(parts), lengths, rows.width, rows.single)


def same_lengths(rows: dict[str, Rows[Values]]) -> None:
    """Passes where all rows are as long as the first, task by task.

    Raises:
      InputError: Naming one that is not.
    """
    (first, reference), *others = rows.items()
    for name, one in others:
        if one.lengths != reference.lengths or one.single != reference.single:
            raise InputError(
                f"`{name}` must be as long as `{first}`, task by task. "
                f"Received: {one.lengths[:5]} and {reference.lengths[:5]}."
            )


def read_support(
    contract: Contract, signature: str, user: Any, item: Any, label: Any, length: Any
) -> Support:
    """Reads the support inputs.

    Raises:
      InputError: Naming the input that is of another type or length than it should be.
    """
    dtypes = contract.dtypes(signature)
    users, items = read_pairs("support", user, item, dtypes)
    labels = read_numbers("support_label", label, dtypes["support_label"])
    same_lengths({"support_user_id": users, "support_item_id": items, "support_label": labels})
    lengths = read_lengths(labels, length, dtypes)
    return Support(users, items, labels, lengths, dtypes, range(len(lengths)))


def read_lengths(labels: Rows[np.ndarray], length: Any, dtypes: dict[str, int]) -> np.ndarray:
    """Checks the labels of supports, and reads how many leading pairs of each count: int32 [B].

    Raises:
      InputError: A label that is not finite, or a length out of range; names the tasks.
    """
    # In double precision no sum of float32 values overflows, so one check does for all of them; and
    # between two calls NumPy's reductions are out of the processor's caches, ten times slower.
    if not math.isfinite(sum(labels.flat.tolist())):
        raise _not_finite("support_label", labels.flat.reshape(-1, labels.width))
    lengths = np.array(labels.lengths, np.int32)
    if length is not None:
        given = read_numbers("support_length", np.atleast_1d(length), dtypes["support_length"]).flat
        if given.shape != lengths.shape:
            raise InputError(
                "`support_length` must be one number for each task. "
                f"Received: {len(given)} for {len(lengths)} tasks."
            )
        wrong = np.flatnonzero((given < 0) | (given > lengths)).tolist()
        if wrong:
            raise InputError(
                "`support_length` must lie between 0 and the number of support pairs. Received: "
                f"{given[wrong[0]]} for {lengths[wrong[0]]} pairs in {named_tasks(wrong)}.",
                wrong,
            )
        lengths = given
    return lengths


def read_query(
    contract: Contract, signature: str, user: Any, item: Any, tasks: int, single: bool
) -> Query:
    """Reads the query inputs of `tasks` tasks.

    Raises:
      InputError: Naming the input that is of another type, length or number of tasks.
    """
    dtypes = contract.dtypes(signature)
    users, items = read_pairs("query", user, item, dtypes)
    same_lengths({"query_user_id": users, "query_item_id": items})
    same_tasks("query_user_id", users, tasks, single)
    return Query(users, items, dtypes)


def same_tasks(name: str, rows: Rows[Values], tasks: int, single: bool) -> None:
    """Passes where rows are of as many tasks as the support.

    Raises:
      InputError: They are not, or only one of both is a flat list.
    """
    if len(rows.lengths) != tasks or rows.single != single:
        raise InputError(
            f"`{name}` must have as many tasks as the support. "
            f"Received: {len(rows.lengths)} and {tasks}"
            f"{'' if rows.single == single else ', one of them as a flat list'}."
        )


def read_users(contract: Contract, users: Any, tasks: int, single: bool) -> Rows[Values]:
    """Reads `user_id` of `recommend`: one id for each task; a bare id for a single one.

    Raises:
      InputError: Another number of ids, or ids of another type.
    """
    dtype = contract.dtypes("recommend")["user_id"]
    if single and isinstance(users, (str, bytes, int, np.integer)):
        users = [users]
    rows = read_rows("user_id", users, dtype)
    if not rows.single or rows.lengths != [tasks]:
        raise InputError(
            f"`user_id` must be one id for each task. Received: {rows.lengths} for {tasks} tasks."
        )
    return rows


def fill_tasks(request: Any, name: str, rows: Rows[Values], dtype: int) -> None:
    """Adds one input with a value for each task, [B]: a flat row of them."""
    _fill(request.inputs[name], rows.flat, (rows.lengths[0],), dtype)


def read_context(contract: Contract, context: Any) -> np.ndarray:
    """Reads contexts, float32 [B, D].

    Raises:
      InputError: Another shape, or values that are not finite.
    """
    array = np.asarray(context, np.float32)
    width = contract.context_width()
    if array.ndim != 2 or not len(array) or width not in (-1, array.shape[1]):
        raise InputError(f"`context` must be of shape [B, {width}]. Received: {list(array.shape)}.")
    if not np.isfinite(array).all():
        raise _not_finite("context", array)
    return array


def _not_finite(name: str, values: np.ndarray) -> InputError:
    tasks = np.flatnonzero(~np.isfinite(values).all(axis=1)).tolist()
    return InputError(
        f"`{name}` must be finite. Received: NaN or infinity in {named_tasks(tasks)}.", tasks
    )


def named_tasks(tasks: list[int]) -> str:
    """`task 1`, or `tasks 1, 3`; the first twenty of many. Tasks are counted from 0."""
    some = ", ".join(map(str, tasks[:20])) + (", ..." if len(tasks) > 20 else "")
    return f"task{'s' if len(tasks) > 1 else ''} {some}"


def refused_request(error: grpc.RpcError) -> InputError:
    """What is raised for INVALID_ARGUMENT: the server's sentence, which names the input."""
    # Behind the first line TensorFlow tells which node of the graph failed.
    sentence = (error.details() or "").partition("\n")[0]
    return InputError(f"The model refuses the request: {sentence}")


class Sent(Protocol):
    """What `check_valid` tells about a support that was sent."""

    @property
    def label(self) -> Rows[np.ndarray]: ...

    @property
    def lengths(self) -> np.ndarray: ...

    @property
    def tasks(self) -> Sequence[int]: ...


def check_valid(valid: np.ndarray | None, given: Sent | np.ndarray) -> None:
    """Passes where every task of an answer is valid.

    Args:
      valid: bool [B]; None where the model has no such output, and refuses requests as a whole.
      given: The support or the contexts that were sent.

    Raises:
      InputError: Naming the tasks that are not, and what the first of them holds.
    """
    if valid is None or valid.all():
        return
    refused = np.flatnonzero(~valid).tolist()
    if not isinstance(given, np.ndarray):
        tasks, first = [given.tasks[row] for row in refused], refused[0]
        begin = first * given.label.width
        length = int(given.lengths[first])
        labels = given.label.flat[begin : begin + length].tolist()
        wanted = (
            "`support_label` must be finite (of the user setting: a rating on the model's scale), "
            "`support_length` between 0 and the number of support pairs, and the number of a "
            "feature near those that the model was trained with"
        )
        received = f"support_label={labels[:8]}, support_length={length}"
    else:
        tasks, wanted = refused, "`context` must be finite"
        received = f"context={given[refused[0]].tolist()[:8]}"
    raise InputError(
        f"The model refuses {named_tasks(tasks)} (counted from 0). {wanted}. "
        f"Received in task {tasks[0]}: {received}.",
        tasks,
    )


def trim(array: np.ndarray, lengths: list[int], single: bool) -> np.ndarray | list[np.ndarray]:
    """Rows of an answer cut to each task's own length: padding is not answered."""
    if single:
        return array[0, : lengths[0]]
    return [row[:length] for row, length in zip(array, lengths, strict=True)]


def per_task(array: np.ndarray, single: bool) -> np.ndarray | list[np.ndarray]:
    """Rows of an answer, whole."""
    return array[0] if single else list(array)


def read_outputs(response: Any) -> dict[str, np.ndarray]:
    """All outputs of a response."""
    return {name: read(proto) for name, proto in response.outputs.items()}


def check_scores(score: np.ndarray) -> None:
    """Passes where no score of the Regress API, which has no other output, is NaN.

    Raises:
      InputError: Naming the Examples that the model refuses.
    """
    refused = np.flatnonzero(np.isnan(score)).tolist()
    if refused:
        raise InputError(
            f"The model refuses example{named_tasks(refused).removeprefix('task')} (counted from "
            "0). `support_label` must be finite (of the user setting: a rating on the model's "
            "scale).",
            refused,
        )


def text_ids(array: np.ndarray) -> np.ndarray:
    """Ids as callers write them: strings as str objects, numbers as they are."""
    if array.dtype != object:
        return array
    decoded = np.empty(array.size, object)
    decoded[:] = [value.decode(errors="surrogateescape") for value in array.flat]
    return decoded.reshape(array.shape)
