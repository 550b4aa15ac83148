"""What the files of a run's folder say, read for its report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cmml_tf.reports.form import ReportedForm
from cmml_tf.training.history_log import read_history
from cmml_tf.training.run_folder import read_metrics, read_record

TRAININGS = ("model", "twin")


@dataclass(frozen=True)
class RunContent:
    """A finished run.

    Attributes:
      folder: Of the run.
      form: Of its setting.
      config, environment, data: The records it began with.
      metrics: Of `metrics.json`.
      tasks: A line an evaluation task; None: there is no such file.
      histories: By training, a line an epoch.
    """

    folder: Path
    form: ReportedForm
    config: dict[str, Any]
    environment: dict[str, Any]
    data: dict[str, Any]
    metrics: dict[str, Any]
    tasks: pd.DataFrame | None
    histories: dict[str, pd.DataFrame]

    @classmethod
    def read(cls, folder: Path, form: ReportedForm) -> "RunContent":
        """Reads a folder.

        Raises:
          FileNotFoundError: The run is not finished.
          ValueError: A file is damaged; the message names it.
        """
        metrics = read_metrics(folder, ("meta_test", "controls", "verdict"))
        histories = {name: pd.DataFrame(read_history(folder / name)) for name in TRAININGS}
        return cls(
            folder,
            form,
            read_record(folder / "config.yaml"),
            read_record(folder / "environment.json"),
            read_record(folder / "data.json"),
            metrics,
            _tasks(folder / f"meta_test_{form.asked[0]}.csv"),
            {name: history for name, history in histories.items() if len(history)},
        )


def _tasks(file: Path) -> pd.DataFrame | None:
    if not file.exists():
        return None
    try:
        # A name such as `NA` or `007` is a name.
        return pd.read_csv(file, dtype={"name": str}, keep_default_na=False, na_values=[""])
    except (ValueError, OSError) as error:
        raise ValueError(f"{file} is damaged ({error}). `cmml evaluate` writes it anew.") from error
