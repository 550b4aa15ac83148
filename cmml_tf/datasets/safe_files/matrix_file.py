"""Embedding tables kept as .npy files."""

import math
from pathlib import Path

import numpy as np

from cmml_tf.plain_arrays import read_header

_BLOCK_ROWS = 65_536


def read_matrix(path: str | Path) -> np.ndarray:
    """Reads a .npy file of one embedding a row.

    Args:
      path: The file.

    Returns:
      float32 [rows, d]; of a float32 file a read-only map, whose pages are read when needed.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: The file is no complete .npy file, not a matrix of real numbers, or holds numbers
        that are NaN, infinite or beyond float32; the message names row and column of the first.
    """
    path = Path(path)
    require_matrix(path)
    try:
        with path.open("rb") as file:
            header = read_header(file, path.stat().st_size)
    except ValueError as error:
        raise ValueError(
            f"The embedding file {path} is not a complete .npy file of numbers ({error}). Write it "
            "again with numpy.save."
        ) from error
    if header.ndim != 2 or header.dtype.kind not in "fiu" or not header.size:
        raise ValueError(
            f"The embedding file {path} must hold a matrix of real numbers, one embedding a row. "
            f"Received: {header.dtype} {header.shape}."
        )
    order = "F" if header.fortran_order else "C"
    mapped = np.memmap(path, header.dtype, "r", header.offset, header.shape, order)
    return finite_matrix(f"The embedding file {path}", mapped)


def require_matrix(path: Path) -> None:
    """Passes where there is a file of embeddings.

    Raises:
      FileNotFoundError: There is none.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"The embedding file {path} is missing. Give an existing .npy file."
        )


def finite_matrix(name: str, numbers: np.ndarray) -> np.ndarray:
    """A matrix as float32, if all its numbers are finite there.

    Args:
      name: How the message calls it.
      numbers: [rows, d], real.

    Returns:
      float32 [rows, d]; `numbers` itself if it is of that type.

    Raises:
      ValueError: A number is NaN, infinite or beyond float32; the message names row and column.
    """
    same = numbers.dtype == np.float32
    matrix = numbers if same else np.empty(numbers.shape, np.float32)
    for begin in range(0, len(numbers), _BLOCK_ROWS):
        block = slice(begin, begin + _BLOCK_ROWS)
        if not same:
            with np.errstate(over="ignore"):
                matrix[block] = numbers[block]
        finite = np.isfinite(matrix[block])
        if not finite.all():
            row, column = (int(place) for place in np.argwhere(~finite)[0])
            value = float(numbers[begin + row, column])
            form = f"{value:g}, beyond float32" if math.isfinite(value) else f"{value:g}"
            raise ValueError(
                f"{name} must hold finite numbers. Row {begin + row}, column {column} "
                f"(counted from 0) has {form}; replace it, with a row of zeros where nothing is "
                "known."
            )
    return matrix
