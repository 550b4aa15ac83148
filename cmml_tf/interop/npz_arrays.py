"""Plain arrays of an .npz file that someone else wrote: nothing in it is ever unpickled."""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

_ACCEPTED = "Accepted: an .npz file of plain arrays of numbers, as numpy.savez writes it."
# RuntimeError: zipfile on an encrypted member or an unknown compression.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, MemoryError, RuntimeError)


def read_float_arrays(
    path: Path,
    wanted: Callable[[str], bool],
    check_names: Callable[[list[str]], None] | None = None,
) -> dict[str, np.ndarray]:
    """Reads some arrays of an .npz file as finite float32.

    Args:
      path: The file.
      wanted: Whether the array of a name is read.
      check_names: Called with all names before anything is loaded; may raise.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is not an .npz file, or a wanted array is pickled, damaged or not of finite
        floats.
    """
    with _opened(path) as archive:
        if check_names is not None:
            check_names(archive.files)
        return {name: _read_float(archive, name) for name in archive.files if wanted(name)}


def read_integer_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads the named arrays of an .npz file as int64.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is not an .npz file, or one of the arrays is missing, pickled, damaged or not
        of integers.
    """
    with _opened(path) as archive:
        missing = [name for name in names if name not in archive.files]
        if missing:
            raise ValueError(f"`{missing[0]}` is missing in {path.name!r}.")
        return {name: _read_kind(archive, name, "iu", "integers", np.int64) for name in names}


def array_names(path: Path) -> list[str]:
    """The names of all arrays of an .npz file.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is not an .npz file.
    """
    with _opened(path) as archive:
        return archive.files


@contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file {str(path)!r}.")
    # Opened here: numpy leaves a file that it opened itself open when it is no archive.
    with path.open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
        except (ValueError, *_DAMAGED) as error:
            raise ValueError(f"{path.name!r} is not an .npz file. {_ACCEPTED}") from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError(f"{path.name!r} holds one array, not an .npz archive. {_ACCEPTED}")
        yield archive


def _read_float(archive: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """One finite float32 array."""
    array = _read_kind(archive, name, "f", "floats", np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"`{name}` must be finite in float32. Received: NaN or infinite values.")
    return array


def _read_kind(
    archive: np.lib.npyio.NpzFile, name: str, kinds: str, accepted: str, dtype: type
) -> np.ndarray:
    try:
        array = archive[name]
    except (ValueError, *_DAMAGED) as error:
        raise ValueError(
            f"`{name}` is pickled or damaged and was not loaded. {_ACCEPTED}"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
        kind = array.dtype if isinstance(array, np.ndarray) else "no array"
        raise ValueError(f"`{name}` must hold {accepted}. Received: {kind}.")
    with np.errstate(over="ignore"):
        return array.astype(dtype)
