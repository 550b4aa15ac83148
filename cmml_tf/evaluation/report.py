"""What a run is judged by: the model beside its baselines, and whether it adapts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cmml_tf.evaluation.statistics import PairedDifference
from cmml_tf.evaluation.task_metrics import TaskMetrics

_INTERVAL = "± (95%, over {tasks})"
_NUMBER = 11


class Baseline(NamedTuple):
    """A system beside the model.

    Attributes:
      name: In `metrics.json`.
      label: In tables.
      metrics: On the model's rows.
    """

    name: str
    label: str
    metrics: TaskMetrics


class Gain(NamedTuple):
    """A metric whose gain is reported.

    Attributes:
      metric: Its name.
      sign: 1 where higher is better, -1 where lower is.
    """

    metric: str
    sign: float = 1.0


@dataclass(frozen=True)
class Report:
    """Evaluations of the same rows.

    Attributes:
      model: With each task's own support set.
      swapped: With another task's support set; None with a single task.
      baselines: Other systems, with the own support sets.
      gains: Metrics whose gains are reported; the decisive one first.
      columns: Metrics of the table.
      asked: What there are T of, and what there are R of.
      curve: Means of the model's metrics by number of support pairs.
    """

    model: TaskMetrics
    swapped: TaskMetrics | None
    baselines: Sequence[Baseline]
    gains: Sequence[Gain]
    columns: Sequence[str]
    asked: tuple[str, str]
    curve: Mapping[int, Mapping[str, float]]

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json` that evaluation knows.

        `meta_test_interval` is half of each mean's 95% interval over tasks. `context_gain` is how
        much better the decisive metric is with the own support set than with another's, by the
        metric's name; `interval` is half of its 95% interval over tasks, `swapped` has the means
        with another's. A gain says that the support set is read, not that it helps: harm by a wrong
        one counts as well. A further metric stands beside it, its interval as `<metric>_interval`.
        """
        found: dict[str, Any] = {
            "meta_test": self.model.means(),
            "meta_test_interval": {
                name: _finite(value) for name, value in self.model.half_widths().items()
            },
            "baselines": {one.name: one.metrics.means() for one in self.baselines},
            "context_gain": self._context_gain(),
        }
        if self.curve:
            found["support_length"] = {str(length): means for length, means in self.curve.items()}
        return found

    def table(self, name: str) -> str:
        """The report as text; `name` is the model's."""
        systems = [(name, self.model), *((one.label, one.metrics) for one in self.baselines)]
        if self.swapped is not None:
            systems.append((f"{name}, swapped support", self.swapped))
        tasks, rows = self.asked
        interval = _INTERVAL.format(tasks=tasks)
        width = max(len(interval), *(len(label) for label, _ in systems))
        lines = [" " * width + "".join(f"{column:>{_NUMBER}}" for column in self.columns)]
        for label, metrics in systems:
            lines.append(f"{label:<{width}}{self._cells(metrics.means())}")
            if metrics is self.model:
                lines.append(f"{interval:<{width}}{self._cells(self.model.half_widths())}")
        others = [(one.label, one.metrics) for one in self.baselines]
        if self.swapped is not None:
            others.append(("swapped support (context gain)", self.swapped))
        for label, other in others:
            for gain in self.gains:
                better = self._better_than(other, gain)
                first, second = (name, label) if gain.sign > 0 else (label, name)
                lines.append(
                    f"{first} minus {second}, {gain.metric}: "
                    f"{better.mean:+.4f} ± {better.half_width:.4f}"
                )
        if self.curve:
            metric = self.gains[0].metric
            points = ", ".join(f"{n}: {means[metric]:.4f}" for n, means in self.curve.items())
            lines.append(f"{metric} by number of support pairs: {points}")
        count = np.sum(~np.isnan(self.model.rows[self.gains[0].metric]))
        lines.append(
            f"{len(self.model.names)} held-out {tasks}"
            + (f", {count} {rows}" if rows != tasks else "")
        )
        return "\n".join(lines)

    def _context_gain(self) -> dict[str, Any]:
        names = [gain.metric for gain in self.gains]
        intervals = ["interval", *(f"{name}_interval" for name in names[1:])]
        if self.swapped is None:
            return {**dict.fromkeys((*names, *intervals)), "swapped": None}
        differences = [self._better_than(self.swapped, gain) for gain in self.gains]
        return {
            **{name: one.mean for name, one in zip(names, differences, strict=True)},
            **{n: _finite(one.half_width) for n, one in zip(intervals, differences, strict=True)},
            "swapped": self.swapped.means(),
        }

    def _better_than(self, other: TaskMetrics, gain: Gain) -> PairedDifference:
        better, worse = (self.model, other) if gain.sign > 0 else (other, self.model)
        return better.gain_over(worse, gain.metric)

    def _cells(self, values: Mapping[str, float]) -> str:
        return "".join(f"{values[column]:>{_NUMBER}.4f}" for column in self.columns)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
