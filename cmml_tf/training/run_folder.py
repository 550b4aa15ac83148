"""The folder of one run: what was asked, with what software, on which data."""

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

from cmml_tf.config import ScenarioRunConfig, override

_PACKAGES = ("cmml_tf", "tensorflow", "tf_keras", "tensorflow-recommenders", "numpy", "pandas")
# Where results go, how long a process may train and how many do do not change what is computed.
FREE_TO_CHANGE = ("run_dir", "export_dir", "max_minutes", "strategy")


class RunFolder:
    """Holds `config.yaml`, `environment.json`, `data.json`, episodes, checkpoints and metrics.

    Args:
      path: Created if it is missing.
      writes: False in a process that must leave the folder to another, and only checks.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path = path
        self._writes = writes
        path.mkdir(parents=True, exist_ok=True)

    def claim(self, config: Any, free_to_change: Sequence[str] = FREE_TO_CHANGE) -> None:
        """Writes the resolved configuration, or checks that the unfinished run here has the same.

        Args:
          config: A dataclass.
          free_to_change: Its fields that may differ from the earlier ones.

        Raises:
          ValueError: Another configuration has been run in this folder.
        """
        file = self.path / "config.yaml"
        wanted = plain(config)
        if file.exists():
            earlier = yaml.safe_load(file.read_text())
            different = sorted(
                name
                for name in wanted.keys() | earlier.keys()
                if name not in free_to_change and wanted.get(name) != earlier.get(name)
            )
            if different:
                raise ValueError(
                    f"The run in {self.path} was started with another configuration (different: "
                    f"{', '.join(different)}). Choose another `run_dir`, or remove that folder."
                )
        if self._writes:
            write_whole(file, yaml.safe_dump(wanted, sort_keys=False))
            write_whole(self.path / "environment.json", json.dumps(environment(), indent=2))

    def check_data(self, fingerprint: str) -> None:
        """Remembers the data's fingerprint, or checks it against the remembered one.

        Raises:
          ValueError: The data has changed since this run began.
        """
        file = self.path / "data.json"
        if file.exists() and json.loads(file.read_text())["fingerprint"] != fingerprint:
            raise ValueError(
                f"The data has changed since the run in {self.path} began. Choose another "
                "`run_dir`, or remove that folder."
            )
        if self._writes:
            write_whole(file, json.dumps({"fingerprint": fingerprint}))


def load_config(path: Path) -> ScenarioRunConfig:
    """The configuration that a run folder holds.

    Raises:
      FileNotFoundError: The folder holds no run.
    """
    file = path / "config.yaml"
    if not file.exists():
        raise FileNotFoundError(f"{path} is not the folder of a run: it has no config.yaml.")
    return override(ScenarioRunConfig(), yaml.safe_load(file.read_text()))


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


def write_whole(path: Path, text: str) -> None:
    """Writes beside the file's final place and renames, so that no reader sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
