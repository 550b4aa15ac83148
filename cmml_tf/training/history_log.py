"""The history of a training as files that people and tools read."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from cmml_tf.files import write_whole

_HISTORY = "metrics.jsonl"


class HistoryLog(tf.keras.callbacks.Callback):
    """Writes `history.csv` and `metrics.jsonl` after each epoch, one line an epoch.

    Both are written anew from the whole history, so a resumed training has each epoch once.

    Args:
      history: Gives the epochs so far; place this callback behind the one that keeps them.
      folder: Where the files go.
    """

    def __init__(self, history: Callable[[], list[dict[str, float]]], folder: Path) -> None:
        super().__init__()
        self._history = history
        self._folder = folder

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # A kill may have come between the last checkpoint and its line here.
        del logs
        if self._history():
            self._write()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del epoch, logs
        self._write()

    def _write(self) -> None:
        rows = self._history()
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        write_whole(self._folder / _HISTORY, lines)
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self._folder / "history.csv", table.getvalue())


def read_history(folder: Path) -> list[dict[str, float]]:
    """The epochs of a training that a `HistoryLog` has written; none where it has not.

    Raises:
      ValueError: The file is damaged.
    """
    file = folder / _HISTORY
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise ValueError(f"{file} is damaged: it must hold one JSON object a line.") from error
