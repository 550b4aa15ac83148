"""Evaluation tasks as a file that is written whole, and the hash that says which ones they are."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from cmml_tf.files import write_whole
from cmml_tf.plain_arrays import open_archive


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 (hex) over every array, by name."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(name.encode())
        if array.dtype.kind == "U":
            digest.update("\n".join(array).encode())
        else:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a .npz that appears whole."""
    write_whole(path, lambda file: np.savez_compressed(file, **arrays))


def load_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Reads what `save_arrays` wrote.

    Args:
      path: The file.
      names: The arrays that it must hold, and no others.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: The file is not one of these; the message names it.
    """
    try:
        with open_archive(path) as archive:
            arrays = archive.read(lambda name: True)
        if arrays.keys() != set(names):
            raise ValueError(f"it holds {', '.join(arrays)}")
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path} is not a file of evaluation episodes ({error}). Remove it to draw them anew."
        ) from error
    return arrays
