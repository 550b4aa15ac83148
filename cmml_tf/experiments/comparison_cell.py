"""One cell of a comparison: what a system with a seed reached, per task, in files written whole."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cmml_tf.files import make_folder, write_whole
from cmml_tf.training.efficiency import Cost
from cmml_tf.training.run_folder import read_record

_RESULT, _TASKS = "result.json", "tasks.parquet"
_KEYS = ("means", "curve", "cost", "episodes_hash")


@dataclass(frozen=True)
class CellResult:
    """What a system with a seed reached.

    Attributes:
      tasks: One line a task and support: columns task, support, rows (rankings that its metrics
        are means of), the metrics, and those of `TaskMetrics.parts_table`. Support is `own`, and of
        a model `twin`, `none`, `flipped` and, with several tasks, `swapped`, as docs/runs.md has
        them.
      means: Metric means by support.
      curve: The same by the size of the support set.
      cost: Time and memory.
      episodes_hash: Of the evaluation tasks.
      known: Shares of what is asked whose `users`, and whose `items`, are known.
    """

    tasks: pd.DataFrame
    means: dict[str, dict[str, float]]
    curve: dict[str, dict[str, dict[str, float]]]
    cost: Cost
    episodes_hash: str
    known: dict[str, float] = field(default_factory=dict)


class Cell(NamedTuple):
    """A system and a seed."""

    system: str
    seed: int

    def folder(self, out: Path) -> Path:
        """Its place in the folder of a comparison."""
        return out / "cells" / f"{self.system}-{self.seed}"

    def is_finished(self, out: Path) -> bool:
        """Whether its result is there; that file is written last, and whole."""
        return (self.folder(out) / _RESULT).exists()

    def save(self, out: Path, result: CellResult, about: dict[str, Any]) -> None:
        """Writes tasks and result; `about` goes into the result's file."""
        folder = self.folder(out)
        make_folder(folder)
        tasks = result.tasks.copy()
        tasks.insert(0, "seed", self.seed)
        tasks.insert(0, "system", self.system)
        write_parquet(folder / _TASKS, tasks)
        content = {
            "system": self.system,
            "seed": self.seed,
            "means": result.means,
            "curve": result.curve,
            "cost": result.cost._asdict(),
            "episodes_hash": result.episodes_hash,
            "known": result.known,
            **about,
        }
        write_whole(folder / _RESULT, json.dumps(content, indent=2))

    def load(self, out: Path) -> CellResult:
        """A finished cell.

        Raises:
          FileNotFoundError: It is not finished.
          ValueError: Its file is damaged.
        """
        folder = self.folder(out)
        if not self.is_finished(out):
            raise FileNotFoundError(f"{folder} holds no finished cell: it has no {_RESULT}.")
        content = read_record(folder / _RESULT, _KEYS)
        return CellResult(
            pd.read_parquet(folder / _TASKS),
            content["means"],
            content["curve"],
            Cost(**content["cost"]),
            content["episodes_hash"],
            content.get("known", {}),  # earlier versions kept none
        )


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Writes a table as a file that appears whole."""
    write_whole(path, lambda file: table.to_parquet(file, index=False))
