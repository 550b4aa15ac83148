"""Which tasks a model has learned from: whoever asks it later must leave these out, or say so.

`assets.extra/cmml_learned_tasks.npy` holds a number for each, the first 64 bits of the sha256 of
its name, sorted.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

LEARNED_FILE = Path("assets.extra") / "cmml_learned_tasks.npy"


def write_learned_tasks(version: Path, names: Iterable[Any]) -> None:
    """Records names of scenarios, or ids of users, in a version folder."""
    path = version / LEARNED_FILE
    path.parent.mkdir(exist_ok=True)
    np.save(path, np.unique(_numbers(names)), allow_pickle=False)


def read_learned_tasks(version: Path) -> np.ndarray:
    """uint64 [N], sorted; nothing where the version does not say.

    Raises:
      ValueError: The file is not one of these.
    """
    path = version / LEARNED_FILE
    if not path.exists():
        return np.zeros(0, np.uint64)
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged. Export the run again.") from error
    if found.ndim != 1 or found.dtype != np.uint64:
        raise ValueError(f"{path} must hold a vector of uint64. Received: {found.dtype}.")
    return found


def are_learned(names: Iterable[Any], learned: np.ndarray) -> np.ndarray:
    """bool [N]: which of the names are among those that were recorded."""
    return np.isin(_numbers(names), learned)


def _numbers(names: Iterable[Any]) -> np.ndarray:
    digests = b"".join(
        hashlib.sha256(str(name).encode("utf-8", "surrogatepass")).digest()[:8] for name in names
    )
    return np.frombuffer(digests, ">u8").astype(np.uint64)
