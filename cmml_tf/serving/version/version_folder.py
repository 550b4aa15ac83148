"""A version folder appears in the model base path complete, or not at all.

It is written inside a folder `tmp-...` beside its final place, flushed to disk and renamed; a
candidate is renamed from its own. Servers ignore names that are not numbers. A lock file held open
marks a `tmp-...` folder as alive, so that the next export can clear away what a killed one left.
Another one lets promotions and rollbacks of a base path move one after the other.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cmml_tf.files import flush, flush_entry, make_folder, refusals_named

CANDIDATES = "candidates"
"""Folder in a model base path of versions that are not served yet."""
WITHDRAWN = "withdrawn"
"""Folder in a model base path of versions that are served no more; their numbers are not given
again."""
_PREFIX = "tmp-"
_LOCK = "lock"
_PROMOTION_LOCK = ".promotion-lock"
_MODEL = "saved_model.pb"
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


def move_in(candidate: Path, base: Path, expected: Sequence[int] | None = None) -> Path:
    """Makes a version folder from elsewhere the next version of a model base path, in one rename.

    From another disk it is copied beside its final place first, and removed where it was if that
    may be written. Killed at any moment, the candidate is whole where it was or in its new place.

    Args:
      candidate: A version folder outside the model base path.
      base: The model base path; created where it does not exist.
      expected: The versions that must be there, and no others, when it is moved; None: any.

    Returns:
      `base/N`, as of `publish_version`.

    Raises:
      OSError: The folder cannot be moved; it is where it was.
      ValueError: Other versions are there, or the largest number that servers know is taken.
    """
    make_folder(base)
    _clear_abandoned(base)
    with _moved(candidate, base):
        try:
            version = _next_in_turn(candidate, base, expected)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with _scratch_folder(base) as scratch:
                content = scratch / "version"
                shutil.copytree(candidate, content)
                flush(content)
                version = _next_in_turn(content, base, expected)
            with contextlib.suppress(OSError):  # a disk that may not be written keeps it, too
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
      ValueError: There is no version before it, or none that servers could load.
      OSError: The folder cannot be moved; it is where it was.
    """
    if not versions(base):
        raise ValueError(f"{base} must be a model base path with versions. Received: none in it.")
    with _promotion_lock(base):
        found = versions(base)
        if len(found) < 2:
            raise ValueError(
                f"{base} must hold a version before the served one to go back to. "
                f"Received: versions {', '.join(map(str, found))}."
            )
        before, served = (version_path(base, number) for number in found[-2:])
        if not (before / _MODEL).is_file():
            raise ValueError(
                f"{before} must hold a {_MODEL} for servers to go back to it. Received: none. Move "
                f"that folder away, so that the one before it counts. {served} is served as before."
            )
        place = make_folder(base / WITHDRAWN) / str(found[-1])
        with _moved(served, place):
            if place.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
            served.rename(place)
            flush_entry(place.parent)
            flush_entry(base)
        return found[-1], versions(base)[-1]


def _next_in_turn(content: Path, base: Path, expected: Sequence[int] | None) -> Path:
    with _promotion_lock(base):
        return _rename_to_next(content, base, expected)


@contextlib.contextmanager
def _moved(folder: Path, place: Path) -> Iterator[None]:
    """Within the context, what the operating system refuses is a sentence about the move.

    Raises:
      OSError: With cause and remedy.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, shutil.Error):  # of a copy it is a list, in which the first says it
            reason = error.args[0][0][-1]
        elif error.strerror is None:  # a sentence already
            raise
        else:
            reason = error.strerror
        now = "It is where it was" if folder.is_dir() else "It is not there any more"
        raise OSError(
            f"{folder} could not be moved to {place}: {reason}. {now}; what is served has not "
            "changed."
        ) from error


@contextlib.contextmanager
def _promotion_lock(base: Path) -> Iterator[None]:
    """Promotions and rollbacks of a base path look and move one after the other."""
    file = base / _PROMOTION_LOCK
    with refusals_named(file):
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


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


def _rename_to_next(content: Path, base: Path, expected: Sequence[int] | None = None) -> Path:
    while True:
        # Files and broken links take numbers too: nothing can be renamed to theirs.
        here = _numbered(base)
        found = sorted(number for number, path in here if path.is_dir())
        if expected is not None and found != [*expected]:
            raise ValueError(
                f"{base} must hold the versions that it held when the comparison began. "
                f"Received: {found}, and before {[*expected]}. Promote again, to compare anew."
            )
        taken = max([0, *(number for number, _ in (*here, *_numbered(base / WITHDRAWN)))])
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
