"""The folder of one run: what was asked, with what software, on which data."""

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from cmml_tf.config import override
from cmml_tf.files import clear_leftovers, make_folder, write_whole
from cmml_tf.plain_yaml import load_plain_yaml

_PACKAGES = ("cmml_tf", "tensorflow", "tf_keras", "tensorflow-recommenders", "numpy", "pandas")
# Where results go and how they are served, how long a process may train and how many do do not
# change what is computed.
# How a log is read shows in the data's fingerprint, which is checked.
FREE_TO_CHANGE = (
    *("run_dir", "export_dir", "hash_user_ids", "limits", "require", "max_minutes", "strategy"),
    *("read.block_mb", "read.max_malformed"),
)
MODEL, TWIN = "model", "twin"
"""Folders of a run's trainings."""
REFIT = "refit"
"""The folder of a run's refit in the run's own, and what its record names as the setting."""
CONTINUED = "continued"
"""The folder, in a run's own, of what a run has left that this one continues."""
METRICS = "metrics.json"
"""What evaluation has found; a run that has it is finished."""
_CONFIG, _DATA = "config.yaml", "data.json"
_KEYS = ("fingerprint", "configuration")
# What a run leaves only behind its configuration and the record of its data.
_OF_A_RUN = (
    *("model", "twin", "trainings", "cells", METRICS, "meta_test_tasks.csv"),
    *("validation.npz", "meta_test.npz", "curve.npz", "user_embeddings.npy", "item_embeddings.npy"),
)
_ANEW = (
    "Put the file back as it was, or begin anew: choose another `run_dir`, or remove that folder."
)


class RunFolder:
    """Holds `config.yaml`, `environment.json`, `data.json`, episodes, checkpoints and metrics.

    What it holds was computed with one configuration from one state of the data, both of which are
    recorded. Where a record is missing, damaged or another, nothing is continued.

    Args:
      path: Created if it is missing.
      writes: False in a process that must leave the folder to another, and only checks.
      parts: Folders below that keep records of their data, as a pattern.

    Raises:
      OSError: The folder cannot be made.
    """

    def __init__(self, path: Path, writes: bool = True, parts: str = ".") -> None:
        self.path = make_folder(path)
        self._writes = writes
        self._parts = parts

    def claim(self, config: Any, free_to_change: Sequence[str] = FREE_TO_CHANGE) -> None:
        """Writes the resolved configuration, or checks that the unfinished run here has the same.

        Args:
          config: A dataclass.
          free_to_change: Its fields that may differ from the earlier ones; those of a part are
            written as `part.field`.

        Raises:
          ValueError: Another configuration has been run in this folder, or which one cannot be
            told, because a file is missing, damaged or changed; the message names it.
          OSError: The folder cannot be written.
        """
        file = self.path / _CONFIG
        wanted = plain(config)
        if file.exists() or self._holds_a_run():
            earlier, now = (
                settled_options(one, free_to_change) for one in (read_record(file), wanted)
            )
            different = sorted(
                name for name in now.keys() | earlier.keys() if now.get(name) != earlier.get(name)
            )
            if different:
                raise ValueError(
                    f"The run in {self.path} was started with another configuration (different: "
                    f"{', '.join(different)}). Choose another `run_dir`, or remove that folder."
                )
            for record in sorted(self.path.glob(f"{self._parts}/{_DATA}")):
                if read_record(record, _KEYS)["configuration"] != _digest(earlier):
                    raise ValueError(
                        f"{file} is not what the run in {self.path} was started with, by {record}. "
                        f"{_ANEW}"
                    )
        if self._writes:
            clear_leftovers(self.path)
            write_whole(file, yaml.safe_dump(wanted, sort_keys=False))
            write_whole(self.path / "environment.json", json.dumps(environment(), indent=2))

    def check_data(
        self,
        fingerprint: str,
        config: Any,
        setting: str,
        free_to_change: Sequence[str] = FREE_TO_CHANGE,
    ) -> None:
        """Remembers the data's fingerprint, or checks it against the remembered one.

        Args:
          fingerprint: Of the data.
          config, free_to_change: What was claimed; remembered with it.
          setting: Name of the setting, for those who open the finished run.

        Raises:
          ValueError: The data or the configuration have changed since this run began, or its record
            is missing or damaged.
        """
        file = self.path / _DATA
        configuration = _digest(settled_options(plain(config), free_to_change))
        record = {
            "fingerprint": fingerprint,
            "configuration": configuration,
            "setting": setting,
        }
        if file.exists() or self._holds_a_run():
            earlier = read_record(file, _KEYS)
            if earlier["fingerprint"] != fingerprint:
                raise ValueError(
                    f"The data has changed since the run in {self.path} began, by {file}. Choose "
                    "another `run_dir`, or remove that folder."
                )
            if earlier["configuration"] != configuration:
                raise ValueError(
                    f"The configuration has changed since the run in {self.path} began, by {file}. "
                    f"{_ANEW}"
                )
        elif self._writes:
            write_whole(file, json.dumps(record))

    def _holds_a_run(self) -> bool:
        return any((self.path / name).exists() for name in _OF_A_RUN)


def read_record(file: Path, keys: Sequence[str] = ()) -> dict[str, Any]:
    """What a file of a run folder, YAML or JSON, says about the run.

    Args:
      file: `config.yaml`, `data.json` or `metrics.json`.
      keys: What it must hold.

    Raises:
      ValueError: It is missing, empty, damaged or lacks a key; the message names the file.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ValueError(_untold(file, "is missing")) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(_untold(file, f"cannot be read ({error})")) from error
    if not text.strip():
        raise ValueError(_untold(file, "is empty"))
    try:
        content = json.loads(text) if file.suffix == ".json" else load_plain_yaml(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(_untold(file, "is damaged")) from error
    if not isinstance(content, dict):
        raise ValueError(_untold(file, "is damaged"))
    if keys and content.keys() == {"fingerprint"}:
        raise ValueError(
            f"The run in {file.parent} was trained by an earlier version, by {file}; this one "
            f"cannot open it. Train it again, with `--config {file.parent / _CONFIG}` and another "
            "`--run-dir`."
        )
    for key in keys:
        if key not in content:
            raise ValueError(_untold(file, f"is damaged (it has no {key})"))
    return content


def _untold(file: Path, what: str) -> str:
    return f"{file} {what}, so it cannot be told what the run in {file.parent} is of. {_ANEW}"


def settled_options(options: dict[str, Any], free_to_change: Sequence[str]) -> dict[str, Any]:
    """A configuration's options without those that may change; a part's are `part.field`."""
    kept = json.loads(json.dumps(options))
    for name in free_to_change:
        part, dot, field = name.partition(".")
        if not dot:
            kept.pop(part, None)
        elif isinstance(kept.get(part), dict):
            kept[part].pop(field, None)
    return kept


def _digest(options: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()


def read_metrics(path: Path, keys: Sequence[str] = ()) -> dict[str, Any]:
    """The metrics of a finished run.

    Args:
      path: The run's folder.
      keys: What they must hold.

    Raises:
      FileNotFoundError: The run is not finished.
      ValueError: The file is empty, damaged or lacks a key; the message names it.
    """
    file = path / METRICS
    if not file.exists():
        raise FileNotFoundError(
            f"The run in {path} is not finished: it has no {METRICS}. Give its training command "
            "again; it goes on where it was."
        )
    return read_record(file, keys)


def setting_of(path: Path) -> str:
    """The name of the setting whose run a folder holds.

    Raises:
      FileNotFoundError: The folder holds no run.
      ValueError: The record of its data is missing or damaged, or it is a refit.
    """
    _require_run(path)
    setting = read_record(path / _DATA, ("setting",))["setting"]
    if setting == REFIT:
        raise ValueError(f"{path} is the refit of the run in {path.parent}. Give that folder.")
    return setting


def load_config(path: Path, kind: type) -> Any:
    """The configuration, of class `kind`, that a run folder holds.

    Raises:
      FileNotFoundError: The folder holds no run.
      ValueError: Its configuration is damaged.
    """
    _require_run(path)
    file = path / _CONFIG
    options = read_record(file)
    try:
        return override(kind(), options)
    except (ValueError, TypeError) as error:
        raise ValueError(_untold(file, f"is damaged ({error})")) from error


def _require_run(path: Path) -> None:
    if not (path / _CONFIG).exists():
        raise FileNotFoundError(f"{path} is not the folder of a run: it has no {_CONFIG}.")


def plain(config: Any) -> dict[str, Any]:
    """A configuration as dictionaries, lists and scalars, as YAML and JSON keep them."""
    return json.loads(json.dumps(asdict(config)))


def environment() -> dict[str, Any]:
    """Versions, platform and git commit."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "versions": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
