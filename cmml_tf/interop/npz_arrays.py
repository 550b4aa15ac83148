"""Weights and features in an .npz file that someone else wrote, as finite numbers of one type."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cmml_tf.plain_arrays import ArrayHeader, open_archive


def read_float_arrays(
    path: Path,
    wanted: Callable[[str], bool],
    check: Callable[[list[str], dict[str, ArrayHeader]], None] | None = None,
) -> dict[str, np.ndarray]:
    """Reads some arrays of an .npz file as finite float32.

    Args:
      path: The file.
      wanted: Whether the array of a name is read.
      check: Called with all names, and what the wanted arrays say of themselves, before any value
        is loaded; may raise.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is not an .npz file of plain arrays, a wanted array is damaged or not of
        finite floats, or they unfold to much more than the file's size.
    """
    with open_archive(path) as archive:
        headers = {name: archive.header(name) for name in archive.names if wanted(name)}
        if check is not None:
            check(archive.names, headers)
        _check_kinds(headers, "f", "floats")
        return {name: _finite(name, array) for name, array in archive.read(wanted).items()}


def read_integer_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads the named arrays of an .npz file as int64.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is not an .npz file of plain arrays, or one of the arrays is missing, damaged,
        not of integers or beyond int64.
    """
    with open_archive(path) as archive:
        missing = [name for name in names if name not in archive.names]
        if missing:
            raise ValueError(f"`{missing[0]}` is missing in {path.name!r}.")
        _check_kinds({name: archive.header(name) for name in names}, "iu", "integers")
        arrays = archive.read(names.__contains__)
    for name, array in arrays.items():
        if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
            raise ValueError(f"`{name}` must hold integers within int64. Received: {array.max()}.")
    return {name: array.astype(np.int64) for name, array in arrays.items()}


def array_names(path: Path) -> list[str]:
    """The names of all arrays of an .npz file.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is not an .npz file of plain arrays.
    """
    with open_archive(path) as archive:
        return archive.names


def _check_kinds(headers: dict[str, ArrayHeader], kinds: str, accepted: str) -> None:
    for name, header in headers.items():
        if header.dtype.kind not in kinds:
            raise ValueError(f"`{name}` must hold {accepted}. Received: {header.dtype}.")


def _finite(name: str, array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError(f"`{name}` must be finite in float32. Received: NaN or infinite values.")
    return numbers
