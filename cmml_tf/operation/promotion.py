"""A candidate becomes the served version, or is refused with a sentence and stays where it is."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cmml_tf.files import check_folder
from cmml_tf.operation.asked_log import GivenLog, open_asked_log, trained_config
from cmml_tf.operation.gate import Comparison, compare_exports
from cmml_tf.operation.loaded_export import Export, LoadedExport
from cmml_tf.program import UnmetRequirementError
from cmml_tf.serving.version.version_folder import (
    CANDIDATES,
    WITHDRAWN,
    move_in,
    version_path,
    versions,
)
from cmml_tf.serving.version.warmup_check import check_warmup_rows


class Place(NamedTuple):
    """Where a candidate would be served.

    Attributes:
      base: The model base path.
      current: The version that it is compared with; None: nothing is served yet.
      versions: All that were there.
    """

    base: Path
    current: Path | None
    versions: list[int]


def place_of(candidate: Path, against: Path | None) -> Place:
    """The model base path that a candidate is for, and the version to compare it with.

    Args:
      candidate: A version folder, usually `BASE/candidates/N`.
      against: A version folder of the base path, or the base path, whose largest version counts;
        None: the base path whose `candidates` hold the candidate.

    Raises:
      FileNotFoundError: There is no such folder.
      ValueError: The base path cannot be told, or the candidate stands in it already.
      OSError: The base path may not be written, or is a file.
    """
    if candidate.is_symlink() or not candidate.is_dir():
        raise FileNotFoundError(f"There is no folder {candidate}, or it is a link to one.")
    if against is None:
        if candidate.absolute().parent.name not in (CANDIDATES, WITHDRAWN):
            raise ValueError(
                f"`against` must be given, the served version or the model base path, for a "
                f"candidate that is in no folder `{CANDIDATES}` or `{WITHDRAWN}`. Received: "
                f"{candidate}."
            )
        against = candidate.absolute().parent.parent
        if not candidate.is_absolute():
            against = Path(os.path.relpath(against))
    is_version = against.name.isdigit() and against.name.isascii()
    if is_version and not against.is_dir():
        raise FileNotFoundError(f"There is no version {against}.")
    base = against.parent if is_version else against
    if candidate.resolve().parent == base.resolve():
        raise ValueError(
            f"The candidate must be outside of the served folder. Received: {candidate}, which is "
            f"in {base} already."
        )
    check_folder(base)  # before a comparison that takes minutes
    found = versions(base)
    if not is_version:
        against = version_path(base, found[-1]) if found else None
    return Place(base, against, found)


def judged(candidate: Path, place: Place, log: GivenLog) -> Comparison:
    """The candidate beside the served version, on a log.

    Args:
      candidate: A version folder.
      place: Where it would be served.
      log: The log.

    Raises:
      UnmetRequirementError: The candidate is not what was exported, or does not answer.
      ValueError, FileNotFoundError, ConnectionError: The log or the served version cannot be read.
    """
    try:
        loaded = LoadedExport(candidate)
        trained_config(loaded)
        loaded.check_answers()
        check_warmup_rows(candidate, place.base)
    except ValueError as error:
        raise UnmetRequirementError(f"Not promoted: {str(error).splitlines()[0]}") from error
    current = None if place.current is None else _served(place.current)
    if current is not None:
        _check_same_requests(loaded, current)
    exports = [loaded] if current is None else [loaded, current]
    with tempfile.TemporaryDirectory() as folder:
        return compare_exports(loaded, current, open_asked_log(exports, log, Path(folder)))


def _served(version: Path) -> LoadedExport:
    try:
        return LoadedExport(version)
    except ValueError as error:
        raise ValueError(
            f"{error} It is what is served, so there is nothing to compare with: go back to the "
            "version before it (`cmml rollback`), or name another one with --against."
        ) from error


def _check_same_requests(candidate: Export, current: Export) -> None:
    """Refuses a candidate that whoever asks the served version would ask in vain."""

    def refuse(what: str, one: str, other: str) -> None:
        if one != other:
            raise UnmetRequirementError(
                f"Not promoted: {what} of {candidate.folder} is {one}, and of {current.folder}, "
                f"which is served, {other}: whoever asks for one cannot ask the other. Serve it "
                "under another model base path."
            )

    if current.setting is not None:
        refuse("the setting", str(candidate.setting), current.setting)
    hashed = {True: "a keyed hash", False: "the id itself"}
    refuse("what names a user", hashed[candidate.hashes_users], hashed[current.hashes_users])


def promote(
    candidate: Path, place: Place, comparison: Comparison, say: Callable[[str], None]
) -> Path:
    """Moves a candidate into its place as the next version, unless a comparison speaks against it.

    Args:
      candidate: A version folder.
      place: As it was compared.
      comparison: What came of it.
      say: Where a line for people goes.

    Returns:
      The version folder.

    Raises:
      UnmetRequirementError: It is worse than what is served beyond the interval, below what is
        simple, or at chance.
      ValueError: Another version has been put in place meanwhile.
      OSError: It cannot be moved.
    """
    say(comparison.table())
    refusals = comparison.refusals()
    if refusals:
        raise UnmetRequirementError(
            f"Not promoted: {candidate} is {'; and '.join(refusals)}. It stays where it is."
        )
    version = move_in(candidate, place.base, place.versions)
    say(f"Promoted: {candidate} is {version} now.")
    return version
