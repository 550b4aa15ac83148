"""Merging requests along axis 0 and splitting answers again, with TensorFlow Serving's padding."""

import statistics
from collections.abc import Sequence

import numpy as np

from cmml_tf.serving.server.config_files import BatchingParameters
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


def merge(requests: Sequence[Arrays], parameters: BatchingParameters) -> tuple[list[int], Arrays]:
    """One batch of several requests with the same input names.

    Where sizes of the other axes differ, a tensor is padded at the end of those axes with its own
    first element, as TensorFlow Serving does; a tensor without elements has none and its request
    is left out. Rows up to the next allowed batch size repeat the first row.

    Returns:
      Positions of the requests in the batch, and the merged inputs.

    Raises:
      ServingError: FAILED_PRECONDITION for unequal shapes when padding is off, INVALID_ARGUMENT
        for unequal ranks.
    """
    kept = list(range(len(requests)))
    merged: Arrays = {}
    shapes = {name: _common_shape(name, requests, parameters) for name in requests[0]}
    kept = [
        position
        for position in kept
        if all(
            array.size or array.shape[1:] == shapes[name]
            for name, array in requests[position].items()
        )
    ]
    rows = sum(len(next(iter(requests[position].values()))) for position in kept)
    total = next((size for size in parameters.allowed_batch_sizes if size >= rows), rows)
    if kept:
        for name, shape in shapes.items():
            merged[name] = _stack([requests[position][name] for position in kept], shape, total)
    return kept, merged


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
