"""Metrics of one system on all evaluation tasks, and how sure their means are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cmml_tf.evaluation.statistics import PairedDifference, paired_difference


@dataclass(frozen=True)
class TaskMetrics:
    """Metrics of every question: a (scenario, user) ranking, or the query ratings of a user.

    Attributes:
      names: str [T], the tasks.
      task: int [R], which task a row belongs to.
      rows: Metric name to float64 [R]; NaN where a metric is undefined.
    """

    names: Sequence[str] | np.ndarray
    task: np.ndarray
    rows: dict[str, np.ndarray]

    def means(self) -> dict[str, float]:
        """Each metric's mean over all rows, as the paper reports it."""
        return {name: float(np.nanmean(values)) for name, values in self.rows.items()}

    def half_widths(self) -> dict[str, float]:
        """Half of each mean's 95% interval, over tasks: rows of one are not independent."""
        zeros = np.zeros(len(self.task))
        return {
            name: paired_difference(values, zeros, self.task).half_width
            for name, values in self.rows.items()
        }

    def table(self) -> pd.DataFrame:
        """One line a task: its name, number of users asked, and its mean of each metric."""
        frame = pd.DataFrame({"task": self.task, **self.rows})
        grouped = frame.groupby("task")
        table = grouped.mean()
        table.insert(0, "users", grouped.size())
        table.insert(0, "name", [self.names[place] for place in table.index])
        return table.reset_index(drop=True)

    def gain_over(self, other: "TaskMetrics", metric: str) -> PairedDifference:
        """This minus another system on the same rows, with its interval over tasks."""
        return paired_difference(self.rows[metric], other.rows[metric], self.task)
