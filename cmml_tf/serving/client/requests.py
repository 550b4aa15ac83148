"""Requests from callers' values, and answers from responses; no network here."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import grpc
import numpy as np
from tensorflow_serving.apis import predict_pb2

from cmml_tf.serving.client.context_cache import support_digest
from cmml_tf.serving.client.contract import Contract
from cmml_tf.serving.client.encoding import STRING, fill_numeric, fill_strings, read
from cmml_tf.serving.client.errors import InputError
from cmml_tf.serving.client.rows import Rows, read_rows


class Support(NamedTuple):
    """The support of B tasks, ready to send; `tasks` are their positions in the caller's call."""

    user: Rows
    item: Rows
    label: Rows
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

    def fill(self, request: predict_pb2.PredictRequest) -> None:
        """Adds the four support inputs."""
        count = len(self.lengths)
        for name, rows in (
            ("support_user_id", self.user),
            ("support_item_id", self.item),
            ("support_label", self.label),
        ):
            _fill(request, name, rows, self.dtypes[name], count)
        fill_numeric(request.inputs["support_length"], self.lengths, self.dtypes["support_length"])

    def select(self, tasks: list[int]) -> "Support":
        """Some of the tasks."""
        if len(tasks) == len(self.lengths):
            return self
        parts = [_select(rows, tasks) for rows in (self.user, self.item, self.label)]
        return Support(*parts, self.lengths[tasks], self.dtypes, [self.tasks[i] for i in tasks])


class Query(NamedTuple):
    """The query pairs of B tasks, ready to send."""

    user: Rows
    item: Rows
    dtypes: dict[str, int]

    def fill(self, request: predict_pb2.PredictRequest) -> None:
        """Adds the two query inputs."""
        count = len(self.user.lengths)
        for name, rows in (("query_user_id", self.user), ("query_item_id", self.item)):
            _fill(request, name, rows, self.dtypes[name], count)


def _fill(
    request: predict_pb2.PredictRequest, name: str, rows: Rows, dtype: int, count: int
) -> None:
    proto, shape = request.inputs[name], (count, rows.width)
    if dtype == STRING:
        fill_strings(proto, rows.flat, shape)
    else:
        fill_numeric(proto, rows.flat.reshape(shape), dtype)


def _select(rows: Rows, tasks: list[int]) -> Rows:
    parts = [rows.flat[task * rows.width : (task + 1) * rows.width] for task in tasks]
    flat = (
        np.concatenate(parts)
        if isinstance(rows.flat, np.ndarray)
        else [value for part in parts for value in part]
    )
    return Rows(flat, [rows.lengths[task] for task in tasks], rows.width, rows.single)


def _same_lengths(rows: dict[str, Rows]) -> None:
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
    rows = {
        name: read_rows(name, values, dtypes[name])
        for name, values in (
            ("support_user_id", user),
            ("support_item_id", item),
            ("support_label", label),
        )
    }
    _same_lengths(rows)
    labels = rows["support_label"]
    # In double precision no sum of float32 values overflows, so one check does for all of them; and
    # between two calls NumPy's reductions are out of the processor's caches, ten times slower.
    if not math.isfinite(sum(labels.flat.tolist())):
        raise _not_finite("support_label", labels.flat.reshape(-1, labels.width))
    lengths = np.array(labels.lengths, np.int32)
    if length is not None:
        given = read_rows("support_length", np.atleast_1d(length), dtypes["support_length"]).flat
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
    return Support(*rows.values(), lengths, dtypes, range(len(lengths)))


def read_query(
    contract: Contract, signature: str, user: Any, item: Any, tasks: int, single: bool
) -> Query:
    """Reads the query inputs of `tasks` tasks.

    Raises:
      InputError: Naming the input that is of another type, length or number of tasks.
    """
    dtypes = contract.dtypes(signature)
    users = read_rows("query_user_id", user, dtypes["query_user_id"])
    items = read_rows("query_item_id", item, dtypes["query_item_id"])
    _same_lengths({"query_user_id": users, "query_item_id": items})
    if len(users.lengths) != tasks or users.single != single:
        raise InputError(
            "`query_user_id` must have as many tasks as the support. "
            f"Received: {len(users.lengths)} and {tasks}"
            f"{'' if users.single == single else ', one of them as a flat list'}."
        )
    return Query(users, items, dtypes)


def read_users(contract: Contract, users: Any, tasks: int, single: bool) -> Rows:
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


def fill_users(request: predict_pb2.PredictRequest, users: Rows, dtype: int) -> None:
    """Adds `user_id` [B]."""
    shape, proto = (users.lengths[0],), request.inputs["user_id"]
    if dtype == STRING:
        fill_strings(proto, users.flat, shape)
    else:
        fill_numeric(proto, users.flat.reshape(shape), dtype)


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


def check_valid(valid: np.ndarray | None, given: Support | np.ndarray) -> None:
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
    if isinstance(given, Support):
        tasks, first = [given.tasks[row] for row in refused], refused[0]
        begin = first * given.label.width
        length = int(given.lengths[first])
        labels = given.label.flat[begin : begin + length].tolist()
        wanted = (
            "`support_label` must be finite (of the user setting: a rating on the model's scale) "
            "and `support_length` between 0 and the number of support pairs"
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


def read_outputs(response: predict_pb2.PredictResponse) -> dict[str, np.ndarray]:
    """All outputs of a response."""
    return {name: read(proto) for name, proto in response.outputs.items()}


def text_ids(array: np.ndarray) -> np.ndarray:
    """Ids as callers write them: strings as str objects, numbers as they are."""
    if array.dtype != object:
        return array
    decoded = np.empty(array.size, object)
    decoded[:] = [value.decode(errors="surrogateescape") for value in array.flat]
    return decoded.reshape(array.shape)
