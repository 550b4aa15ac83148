"""A version folder appears in the model base path complete, or not at all.

It is written inside a folder `tmp-...` beside its final place, flushed to disk and renamed; a
candidate is renamed from its own. Servers ignore names that are not numbers. A lock file held open
marks a `tmp-...` folder as alive, so that the next export can clear away what a killed one left.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from cmml_tf.files import flush, flush_entry, make_folder

CANDIDATES = "candidates"
"""Folder in a model base path of versions that are not served yet."""
WITHDRAWN = "withdrawn"
"""Folder in a model base path of versions that are served no more; their numbers are not given
again."""
_PREFIX = "tmp-"
_LOCK = "lock"
_LARGEST = 2**63 - 1


def publish_version(base: str | Path, write: Callable[[Path, Path], None]) -> Path:
    """Writes the next version of a model base path and makes it appear at once.

    Args:
      base: The model base path; created where it does not exist.
      write: Called as `write(content, scratch)`: fills the new empty folder `content`; what it
        leaves in the folder `scratch` is thrown away.

    Returns:
      `base/N`, N one above the largest version that is or was there, 1 for the first. Of exports at
      the same time each gets its own number.

    Raises:
      OSError: The folder cannot be written, for example on a full disk; nothing is left behind.
      ValueError: The largest number that servers know is taken.
    """
    base = Path(base)
    make_folder(base)
    _clear_abandoned(base)
    with _scratch_folder(base) as scratch:
        content = scratch / "version"
        content.mkdir()
        write(content, scratch)
        flush(content)
        version = _rename_to_next(content, base)
        flush_entry(base)
    return version


def versions(base: str | Path) -> list[int]:
    """The version numbers in a model base path, ascending; none where it does not exist.

    Numbers beyond int64 are none: servers pass them over.
    """
    return sorted(number for number, path in _numbered(Path(base)) if path.is_dir())


def version_path(base: Path, number: int) -> Path:
    """The folder of a version, which may be written with zeros before its number."""
    return next(path for one, path in _numbered(base) if one == number and path.is_dir())


def move_in(candidate: Path, base: Path) -> Path:
    """Makes a version folder from elsewhere the next version of a model base path, in one rename.

    From another disk it is copied beside its final place first. Killed at any moment, the candidate
    is whole where it was or whole in its new place.

    Args:
      candidate: A version folder outside the model base path.
      base: The model base path; created where it does not exist.

    Returns:
      `base/N`, as of `publish_version`.

    Raises:
      OSError: The folder cannot be moved; it is where it was.
      ValueError: The largest number that servers know is taken.
    """
    make_folder(base)
    _clear_abandoned(base)
    try:
        version = _rename_to_next(candidate, base)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        version = publish_version(base, lambda content, scratch: _copy(candidate, content))
        _remove_at_once(candidate)
    flush_entry(base)
    flush_entry(candidate.parent)
    return version


def withdraw(base: Path) -> tuple[int, int]:
    """Takes the largest version out of what servers see, so that they go back to the one before.

    It is renamed into the folder `withdrawn` of the base path. While it stays there, or a folder
    with its number, no other version gets that number.

    Returns:
      The version withdrawn, and the largest one now.

    Raises:
      ValueError: There is no version before it.
      OSError: The folder cannot be moved; it is where it was.
    """
    found = versions(base)
    if len(found) < 2:
        listed = ", ".join(map(str, found)) or "none"
        raise ValueError(
            f"{base} must hold a version before the served one to go back to. "
            f"Received: versions {listed}."
        )
    before, served = found[-2:]
    place = make_folder(base / WITHDRAWN)
    version_path(base, served).rename(place / str(served))
    flush_entry(place)
    flush_entry(base)
    return served, before


def _copy(folder: Path, empty: Path) -> None:
    shutil.copytree(folder, empty, dirs_exist_ok=True)


def _remove_at_once(folder: Path) -> None:
    """Removes a folder; killed meanwhile, none is left that looks like a version."""
    going = folder.with_name(f"{_PREFIX}{secrets.token_hex(8)}")
    folder.rename(going)
    shutil.rmtree(going, ignore_errors=True)


def _numbered(base: Path) -> list[tuple[int, Path]]:
    """What is called by a number that servers know, whether it is a folder or not."""
    if not base.is_dir():
        return []
    named = [path for path in base.iterdir() if path.name.isascii() and path.name.isdigit()]
    return [(int(path.name), path) for path in named if int(path.name) <= _LARGEST]


def _rename_to_next(content: Path, base: Path) -> Path:
    while True:
        # Files and broken links take numbers too: nothing can be renamed to theirs.
        taken = max(
            [0, *(number for at in (base, base / WITHDRAWN) for number, _ in _numbered(at))]
        )
        if taken == _LARGEST:
            raise ValueError(
                f"A version in {base} must have a number below {_LARGEST}, the largest that "
                f"servers know, for another to follow. Received: {base / str(taken)}. Rename it."
            )
        version = base / str(taken + 1)
        try:
            content.rename(version)
        except OSError:
            # Another export may have taken the number; anything else is an error.
            if not version.exists():
                raise
        else:
            return version


@contextlib.contextmanager
def _scratch_folder(base: Path) -> Iterator[Path]:
    """A new `tmp-...` folder, locked by this process while it lives, removed at the end."""
    while True:
        folder = base / f"{_PREFIX}{secrets.token_hex(8)}"
        folder.mkdir()
        lock = _lock(folder, wait=True)
        if lock is not None:
            break
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _clear_abandoned(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        lock = _lock(folder, wait=False)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path, wait: bool) -> int | None:
    """An open lock file of the folder, or None where another process holds it or removed it."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(lock)
        return None
    # Between the two calls its former holder may have removed the folder.
    if not (folder / _LOCK).exists():
        os.close(lock)
        return None
    return lock
