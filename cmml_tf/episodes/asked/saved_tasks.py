"""Evaluation tasks as a file that is written whole, and the hash that says which ones they are."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from cmml_tf.files import write_whole
from cmml_tf.plain_arrays import open_archive


@dataclass(frozen=True)
class SavedTasks:
    """Evaluation tasks whose fields are arrays; drawn once, the same for every system."""

    @classmethod
    def kept(cls, path: Path, draw: Callable[[], Self]) -> Self:
        """The tasks in a file; where there is none, those that `draw` gives, which go there.

        Raises:
          ValueError: The file is not one of these; the message names it.
        """
        if path.exists():
            return cls.load(path)
        tasks = draw()
        tasks.save(path)
        return tasks

    def fingerprint(self) -> str:
        """sha256 (hex) over every array, by name."""
        digest = hashlib.sha256()
        for name, array in vars(self).items():
            digest.update(name.encode())
            if array.dtype.kind == "U":
                digest.update("\n".join(array).encode())
            else:
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Writes a .npz that appears whole."""
        write_whole(path, lambda file: np.savez_compressed(file, **vars(self)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
          FileNotFoundError: There is no such file.
          ValueError: The file is not one of these; the message names it.
        """
        try:
            with open_archive(path) as archive:
                arrays = archive.read(lambda name: True)
            if arrays.keys() != {field.name for field in fields(cls)}:
                raise ValueError(f"it holds {', '.join(arrays)}")
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{path} is not a file of evaluation episodes ({error}). Remove it to draw them "
                "anew."
            ) from error
        return cls(**arrays)
