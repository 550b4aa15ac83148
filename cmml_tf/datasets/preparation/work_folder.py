"""The unfinished part of a preparation: what is done is recorded, and found again after a kill.

Everything is written beside its final place and renamed, then recorded with size and sha256; a file
without a record that fits is as good as absent.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cmml_tf.datasets.preparation.text_arrays import names_in_file, with_text, without_text
from cmml_tf.files import make_folder
from cmml_tf.plain_arrays import open_archive

Arrays = dict[str, np.ndarray]
Counts = dict[str, int]


class WorkFolder:
    """A folder of stages (folders of numbered array files) and of results.

    Args:
      path: Created by `claim`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.result = path / "result"

    def claim(self, wanted: dict[str, Any], name: str = "claim.json") -> None:
        """Makes the folder, or checks that an unfinished preparation here is of the same kind.

        Args:
          wanted: What the preparation is of.
          name: The file that says so.

        Raises:
          ValueError: It is of another configuration, or of files that have changed since.
        """
        file = self.path / name
        wanted = json.loads(json.dumps(wanted))
        if file.exists():
            earlier = json.loads(file.read_text())
            different = sorted(
                name
                for name in wanted.keys() | earlier.keys()
                if wanted.get(name) != earlier.get(name)
            )
            if different:
                raise ValueError(
                    f"The unfinished preparation in {self.path} is of another configuration or of "
                    f"other files (different: {', '.join(different)}). Remove that folder, or "
                    "choose another `out`."
                )
        make_folder(self.result)
        _write_whole(file, lambda beside: beside.write_text(json.dumps(wanted, indent=2)))

    def unpacked(self, number: int, parts: Callable[[], Iterable[bytes]]) -> Path:
        """A file of the given content, written unless it is there."""
        file = self.path / "unpacked" / f"{number:05d}"
        if not _is_as_recorded(file):
            file.parent.mkdir(exist_ok=True)
            _write_whole(file, lambda beside: _write_parts(beside, parts()))
            _record(file)
        return file

    def is_done(self, stage: str, task: int) -> bool:
        """Whether a task's file is there as it was recorded."""
        return _is_as_recorded(self._file(stage, task))

    def save(self, stage: str, task: int, arrays: Arrays, counts: Counts) -> None:
        """Writes what a task made, and its record last."""
        file = self._file(stage, task)
        file.parent.mkdir(exist_ok=True)
        _write_whole(file, lambda beside: _savez(beside, arrays))
        self.save_counts(stage, task, counts)
        _record(file)

    def load(self, stage: str, task: int, prefix: str = "") -> Arrays:
        """The arrays whose names begin with the prefix, which is taken off."""
        with open_archive(self._file(stage, task)) as archive:
            arrays = archive.read(lambda name: name.startswith(prefix))
        return with_text({name.removeprefix(prefix): array for name, array in arrays.items()})

    def load_one(self, stage: str, task: int, name: str) -> np.ndarray:
        """One array; the others are not read."""
        with open_archive(self._file(stage, task)) as archive:
            return with_text(archive.read(names_in_file(name).__contains__))[name]

    def save_counts(self, stage: str, task: int, counts: Counts) -> None:
        """Writes what a task counted."""
        file = self._file(stage, task).with_suffix(".counts.json")
        file.parent.mkdir(exist_ok=True)
        _write_whole(file, lambda beside: beside.write_text(json.dumps(counts)))

    def counts(self, stage: str, task: int) -> Counts:
        """What a task counted."""
        return json.loads(self._file(stage, task).with_suffix(".counts.json").read_text())

    def drop(self, stage: str) -> None:
        """Removes the arrays of a stage that nothing needs any more; its counts stay."""
        for file in (self.path / stage).glob("*.npz"):
            file.unlink()

    def result_is_done(self, name: str) -> bool:
        """Whether a file of the result is there as it was recorded."""
        return _is_as_recorded(self.result / name, self.path / f"{name}.record")

    def result_file(self, name: str, write: Callable[[Path], None]) -> bool:
        """Writes a file of the result unless it is there; whether it was written."""
        file = self.result / name
        if self.result_is_done(name):
            return False
        _write_whole(file, write)
        _record(file, self.path / f"{name}.record")
        return True

    def result_record(self, name: str) -> dict[str, Any]:
        """Bytes and sha256 of a file of the result."""
        return json.loads((self.path / f"{name}.record").read_text())

    def publish(self, out: Path, manifest: dict[str, Any]) -> None:
        """Completes the result with its manifest, and gives it its name in one rename."""
        file = self.result / "manifest.json"
        _write_whole(file, lambda beside: beside.write_text(json.dumps(manifest, indent=2)))
        self.result.replace(out)
        shutil.rmtree(self.path)

    def _file(self, stage: str, task: int) -> Path:
        return self.path / stage / f"{task:05d}.npz"


def sha256_of(path: Path) -> str:
    """sha256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(file: Path, record: Path | None = None) -> None:
    record = file.with_suffix(".record") if record is None else record
    content = {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
    _write_whole(record, lambda beside: beside.write_text(json.dumps(content)))


def _is_as_recorded(file: Path, record: Path | None = None) -> bool:
    record = file.with_suffix(".record") if record is None else record
    if not file.exists() or not record.exists():
        return False
    wanted = json.loads(record.read_text())
    return file.stat().st_size == wanted["bytes"] and sha256_of(file) == wanted["sha256"]


def _savez(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as file:
        np.savez(file, **without_text(arrays))


def _write_parts(path: Path, parts: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        for part in parts:
            file.write(part)


def _write_whole(file: Path, write: Callable[[Path], None]) -> None:
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write(beside)
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
