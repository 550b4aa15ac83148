"""What a later training goes on from: files that an export holds and no server reads.

They are in `assets.extra/cmml_training`, and the manifest has sha256 of each under `training`. The
folder may be left out where a version is copied to only be served.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cmml_tf.serving.version.probes import file_digests

_FOLDER = Path("assets.extra") / "cmml_training"
_FILES = (f"{_FOLDER.as_posix()}/**/*",)


def write_training_state(version: Path, fill: Callable[[Path], None] | None) -> None:
    """Makes the folder in a version folder.

    Args:
      version: The version folder.
      fill: Called with the new empty folder, writes the state into it; None: there is none.
    """
    if fill is not None:
        folder = version / _FOLDER
        folder.mkdir(parents=True)
        fill(folder)


def training_digests(version: Path) -> dict[str, str]:
    """sha256 (hex) of each file of the state, by its path in the version folder."""
    return file_digests(version, _FILES)


def training_state(version: Path, recorded: Any) -> Path:
    """The folder of the state, its files being those that were exported.

    Args:
      version: The version folder.
      recorded: What `training_digests` found when it was exported, as its manifest says.

    Raises:
      ValueError: There is no state, or a file of it is missing or another one; the message names
        it.
    """
    if not isinstance(recorded, dict) or not recorded:
        raise ValueError(
            f"{version} holds nothing that a training could go on from: it was exported with "
            "hashed user ids, by an earlier version of the library, or of no run. Give the folder "
            "of its run."
        )
    now = training_digests(version)
    for name in sorted({*recorded, *now}):
        if now.get(name) != recorded.get(name):
            what = "missing" if name not in now else "not what was exported"
            raise ValueError(
                f"{version / name} is {what}, so the export cannot be continued. Give another "
                "version, or the folder of its run."
            )
    return version / _FOLDER
