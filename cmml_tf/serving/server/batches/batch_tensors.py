"""Merging requests along axis 0 and splitting answers again, with TensorFlow Serving's padding."""

import statistics
from collections.abc import Sequence

import numpy as np

from cmml_tf.serving.server.loading.config_files import BatchingParameters
from cmml_tf.serving.server.status import (
    Code,
    ServingError,
    failed_precondition,
    invalid_argument,
)

Arrays = dict[str, np.ndarray]


def row_count(inputs: Arrays) -> int:
    """How many rows a request has: the size of axis 0, equal for all inputs.

    Raises:
      ServingError: INVALID_ARGUMENT for a scalar, unequal sizes, or no rows.
    """
    for name, array in inputs.items():
        if array.ndim == 0:
            raise invalid_argument(
                f"Batching Run() input tensors must have at least one dimension; {name} has none."
            )
    # A request's inputs come in no order: the one that most others differ from is at fault.
    sizes = {name: len(inputs[name]) for name in sorted(inputs)}
    rows = statistics.mode(sizes.values()) if sizes else 0
    for name, size in sizes.items():
        if size != rows:
            raise invalid_argument(
                "Batching Run() input tensors must have equal 0th-dimension size; "
                f"{name} has {size}, others have {rows}."
            )
    if not rows:
        raise invalid_argument("Batching Run() input tensors must have at least one row.")
    return rows


def merge(requests: Sequence[Arrays], parameters: BatchingParameters) -> Arrays:
    """One batch of several requests with the same input names.

    Where sizes of the other axes differ, a tensor is padded at the end of those axes with its own
    first element, as TensorFlow Serving does. Rows up to the next allowed batch size repeat the
    first row.

    Raises:
      ServingError: FAILED_PRECONDITION for unequal shapes when padding is off, INVALID_ARGUMENT
        for unequal ranks, and for a tensor that must be padded and has no first element.
    """
    rows = sum(len(next(iter(request.values()))) for request in requests)
    total = next((size for size in parameters.allowed_batch_sizes if size >= rows), rows)
    merged: Arrays = {}
    for name in requests[0]:
        shape = _common_shape(name, requests, parameters)
        if any(not request[name].size and request[name].shape[1:] != shape for request in requests):
            raise invalid_argument(
                "Got empty tensor in batch of non-empty tensors; "
                f"{name} has no element to pad with."
            )
        merged[name] = _stack([request[name] for request in requests], shape, total)
    return merged


def _common_shape(
    name: str, requests: Sequence[Arrays], parameters: BatchingParameters
) -> tuple[int, ...]:
    shapes = {request[name].shape[1:] for request in requests}
    if len({len(shape) for shape in shapes}) > 1:
        raise invalid_argument(f"Tensors with name '{name}' from different tasks differ in rank.")
    if len(shapes) > 1 and not parameters.pad_variable_length_inputs:
        raise failed_precondition(
            f"Tensors with name '{name}' from different tasks have different shapes and padding "
            "is turned off. Set pad_variable_length_inputs to true, or ensure that all tensors "
            "with the same name from different tasks have the same shape (starting with the first "
            "dimension)."
        )
    return tuple(max(sizes) for sizes in zip(*shapes, strict=True))


def _stack(arrays: Sequence[np.ndarray], shape: tuple[int, ...], total: int) -> np.ndarray:
    stacked = np.empty((total, *shape), dtype=arrays[0].dtype)
    row = 0
    for array in arrays:
        block = stacked[row : row + len(array)]
        if array.shape[1:] != shape:
            block[...] = array.flat[0]
            block = block[(slice(None), *(slice(size) for size in array.shape[1:]))]
        block[...] = array
        row += len(array)
    stacked[row:] = stacked[0]
    return stacked


def split(outputs: Arrays, rows: Sequence[int]) -> list[Arrays]:
    """The outputs of a batch, cut along axis 0 only: other axes keep the padded sizes.

    Rows beyond the sum, those that filled the batch up, are dropped.

    Raises:
      ServingError: FAILED_PRECONDITION for an output without axis 0 or with too few rows.
    """
    needed = sum(rows)
    for name, array in outputs.items():
        if array.ndim == 0:
            raise failed_precondition(f"Batched output tensor {name} has 0 dimensions")
        if len(array) < needed:
            raise ServingError(
                Code.FAILED_PRECONDITION,
                f"Batched output tensor {name} has {len(array)} rows, the batch has {needed}",
            )
    ends = np.cumsum(rows).tolist()
    return [
        {name: array[end - size : end] for name, array in outputs.items()}
        for size, end in zip(rows, ends, strict=True)
    ]


def cut_rows(inputs: Arrays, size: int) -> list[Arrays]:
    """The request in parts of at most `size` rows."""
    rows = len(next(iter(inputs.values())))
    return [
        {name: array[first : first + size] for name, array in inputs.items()}
        for first in range(0, rows, size)
    ]


def join_rows(parts: Sequence[Arrays]) -> Arrays:
    """The outputs of a request that was run in parts.

    A part may have shared its batch with longer requests, so that its outputs are wider than those
    of another part. The smallest width holds what the request asked for; the rest is padding.

    Raises:
      ServingError: FAILED_PRECONDITION for outputs that differ in rank.
    """
    joined: Arrays = {}
    for name in parts[0]:
        arrays = [part[name] for part in parts]
        if len({array.ndim for array in arrays}) > 1:
            raise failed_precondition(f"Parts of batched output tensor {name} differ in rank")
        sizes = [min(of_parts) for of_parts in zip(*(one.shape[1:] for one in arrays), strict=True)]
        window = (slice(None), *(slice(size) for size in sizes))
        joined[name] = np.concatenate([array[window] for array in arrays])
    return joined
