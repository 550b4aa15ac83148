"""Metrics of one system on all evaluation tasks, and how sure their means are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from cmml_tf.evaluation.statistics import PairedDifference, paired_difference
from cmml_tf.metrics.lists import mean_lists

KNOWN_USERS, UNKNOWN_USERS = "known_users", "unknown_users"
KNOWN_ITEMS, UNKNOWN_ITEMS = "known_items", "unknown_items"


@dataclass(frozen=True)
class TaskMetrics:
    """Metrics of every question: a (scenario, user) ranking, or the query ratings of a user.

    Attributes:
      names: str [T], the tasks.
      task: int [R], which task a row belongs to.
      rows: Metric name to float64 [R]; NaN where a metric is undefined.
      parts: The same metrics on a part of what is asked, by the part's name, such as
        `known_users` or `unknown_items`: float64 [R], NaN where a row has nothing of that part.
      lists: What lists of recommendations hold, see `metrics.lists`; empty where nothing is
        recommended.
      scores: float [N], some of the scores of what was asked, at equal distances.
    """

    names: Sequence[str] | np.ndarray
    task: np.ndarray
    rows: dict[str, np.ndarray]
    parts: Mapping[str, dict[str, np.ndarray]] = field(default_factory=dict)
    lists: Mapping[str, float] = field(default_factory=dict)
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def means(self) -> dict[str, float]:
        """Each metric's mean over all rows, as the paper reports it; NaN where none is defined."""
        return _means(self.rows)

    def part_means(self) -> dict[str, dict[str, float]]:
        """The means of each part that was asked for at all."""
        return {
            name: _means(rows)
            for name, rows in self.parts.items()
            if any(np.any(~np.isnan(values)) for values in rows.values())
        }

    def half_widths(self) -> dict[str, float]:
        """Half of each mean's 95% interval, over tasks: rows of one are not independent."""
        zeros = np.zeros(len(self.task))
        return {
            name: paired_difference(values, zeros, self.task).half_width
            for name, values in self.rows.items()
        }

    def take(self, places: np.ndarray) -> "TaskMetrics":
        """The rows at these places, int [R]; what is of all together, lists and scores, is not."""

        def of(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: values[places] for name, values in rows.items()}

        parts = {name: of(rows) for name, rows in self.parts.items()}
        return TaskMetrics(self.names, self.task[places], of(self.rows), parts)

    def table(self) -> pd.DataFrame:
        """One line a task: its name, number of users asked, and its mean of each metric."""
        frame = pd.DataFrame({"task": self.task, **self.rows})
        grouped = frame.groupby("task")
        table = grouped.mean()
        table.insert(0, "users", grouped.size())
        table.insert(0, "name", [self.names[place] for place in table.index])
        return table.reset_index(drop=True)

    def parts_table(self, metric: str) -> pd.DataFrame:
        """One line a task, as `table`: its mean of a metric on each part that was asked for.

        Columns `<metric> of <part>`, NaN where nothing of the part was asked, and
        `rows of <part>`, of how many rows it is the mean.
        """
        found = {}
        for name in self.part_means():
            grouped = pd.Series(self.parts[name][metric]).groupby(self.task)
            found |= {f"{metric} of {name}": grouped.mean(), f"rows of {name}": grouped.count()}
        return pd.DataFrame(found).reset_index(drop=True)

    def gain_over(self, other: "TaskMetrics", metric: str) -> PairedDifference:
        """This minus another system on the same rows, with its interval over tasks."""
        return paired_difference(self.rows[metric], other.rows[metric], self.task)


def mean_of_draws(draws: Sequence[TaskMetrics]) -> TaskMetrics:
    """The mean of each row over several draws of the support sets; the questions are the same."""
    first, *others = draws
    if not others:
        return first
    parts = {
        name: _mean_rows([draw.parts[name] for draw in draws], rows)
        for name, rows in first.parts.items()
    }
    rows = _mean_rows([draw.rows for draw in draws], first.rows)
    lists = mean_lists([draw.lists for draw in draws])
    return replace(first, rows=rows, parts=parts, lists=lists)


def users_apart(rows: dict[str, np.ndarray], known: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """The parts `known_users` and `unknown_users` of rows; `known` is bool [R]."""
    return {
        name: {metric: np.where(inside, values, np.nan) for metric, values in rows.items()}
        for name, inside in ((KNOWN_USERS, known), (UNKNOWN_USERS, ~known))
    }


def _mean_rows(
    draws: Sequence[dict[str, np.ndarray]], names: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    return {name: np.mean([rows[name] for rows in draws], axis=0) for name in names}


def _means(rows: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {
        name: float(np.nanmean(values)) if np.any(~np.isnan(values)) else float("nan")
        for name, values in rows.items()
    }
