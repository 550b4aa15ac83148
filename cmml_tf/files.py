"""Files that appear whole or not at all, and on disk; what the disk refuses is one sentence."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, content: str | Callable[[BinaryIO], None]) -> None:
    """Writes beside the file's final place, flushes to disk and renames: no half file is seen.

    Args:
      path: The file; its folder exists.
      content: Text, or what writes into the open file.

    Raises:
      OSError: It could not be written; the earlier content, if any, is still there.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with refusals_named(path):
        try:
            with beside.open("wb") as file:
                if isinstance(content, str):
                    file.write(content.encode())
                else:
                    content(file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        flush_entry(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Within the context, a new folder to fill; at its end that is flushed to disk and renamed.

    Nobody sees a half folder. What a process that was killed meanwhile has left is replaced.

    Args:
      path: The folder; it does not exist yet.

    Yields:
      The new folder, beside the final place.

    Raises:
      OSError: It could not be written; nothing is left behind.
    """
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}")
    with refusals_named(path):
        shutil.rmtree(beside, ignore_errors=True)
        try:
            beside.mkdir()
            yield beside
            flush(beside)
            beside.replace(path)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        flush_entry(path.parent)


def clear_leftovers(folder: Path) -> None:
    """Removes, at any depth, what processes that were killed in `write_whole` have left."""
    for path in folder.rglob(".*.*"):
        process = path.suffix[1:]
        if process.isdecimal() and path.is_file() and not _is_running(int(process)):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def make_folder(path: Path) -> Path:
    """Makes a folder, and those above it, where they are missing.

    Raises:
      OSError: It cannot be made, or there is a file in its place; the message names which.
    """
    check_folder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"The folder {path} could not be made: {_reason(error)}. Make sure that the folder "
            "above it is writable and its disk has room, or choose another place."
        ) from error
    return path


def check_folder(path: Path) -> None:
    """Sees whether a folder is there or could be made, without making it.

    Raises:
      OSError: There is a file in its place, or it or the folder above it is read-only.
    """
    for place in (path, *path.parents):
        if place.is_dir():
            if not os.access(place, os.W_OK):
                raise OSError(
                    f"{place} is read-only, so nothing can be written in {path}. Make it writable, "
                    "or choose another place."
                )
            return
        if place.exists() or place.is_symlink():
            raise OSError(
                f"{path} must be a folder, but {place} is a file. Move that file away, or choose "
                "another place."
            )


@contextmanager
def refusals_named(path: Path) -> Iterator[None]:
    """Within the context, what the operating system refuses is an error that names `path`.

    Raises:
      OSError: With cause and remedy.
    """
    try:
        yield
    except BrokenPipeError:  # of another file: of whoever reads what is printed
        raise
    except OSError as error:
        raise OSError(not_written(path, _reason(error))) from error


def not_written(path: Path, reason: str) -> str:
    """The sentence for a file or folder that could not be written."""
    return (
        f"{path} could not be written: {reason}. Make sure that its folder is writable and its "
        "disk has room, then give the same command again."
    )


def flush(folder: Path) -> None:
    """Waits until every file and folder below is on disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            flush_entry(Path(parent) / name)
        flush_entry(Path(parent))


def flush_entry(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    # NumPy counts elements and does not say why the rest was refused.
    return error.strerror or "the disk did not take all of it"
