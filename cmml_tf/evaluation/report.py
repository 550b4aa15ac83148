"""What a run is judged by: the model beside its controls, and whether its support set helps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cmml_tf.evaluation.criteria import Gain, Simple
from cmml_tf.evaluation.task_metrics import UNKNOWN_ITEMS, UNKNOWN_USERS, TaskMetrics
from cmml_tf.evaluation.verdict import Verdict, better_by, finite
from cmml_tf.metrics.scores import score_summary

OWN, NONE, TWIN, SWAPPED, FLIPPED = "own", "none", "twin", "swapped", "flipped"

_LABELS = {
    TWIN: "twin: never given a support set",
    NONE: "none: empty support set",
    SWAPPED: "swapped: another's support set",
    FLIPPED: "flipped: own labels flipped",
}
_IN_SENTENCES = {
    TWIN: "its twin",
    NONE: "itself with empty ones",
}
_PARTS = {UNKNOWN_USERS: "unknown users", UNKNOWN_ITEMS: "unknown items"}
_NUMBER = 12

Systems = Mapping[str, TaskMetrics]
"""Metrics of each system by its name in `metrics.json`; the model itself is `own`."""


class Asked(NamedTuple):
    """What was asked.

    Attributes:
      protocol: What may be known of a held-out task: `strict`, `warm` or `time`.
      known: Share of the asked pairs whose `users` and `items` are known.
      tasks, rows: What there are T of, and what there are R of, in words.
      draws: Draws of a support set for each size of the curve.
    """

    protocol: str
    known: Mapping[str, float]
    tasks: str
    rows: str
    draws: int


@dataclass(frozen=True)
class Report:
    """Evaluations of the same rows.

    Attributes:
      systems: The model and its controls with the configured support set.
      curve: The same by the size of the support set, smallest first; may be empty.
      simple: What controls there are beside the model's own.
      chosen: Numbers of these that were chosen on tasks that are not asked, by control.
      gains: Metrics by which systems are compared; the first one is decisive.
      columns: Metrics of the curve.
      asked: What was asked.
      shown: How many of the columns, from the first, the table has.
    """

    systems: Systems
    curve: Mapping[str, Systems]
    simple: Simple
    chosen: Mapping[str, Mapping[str, float]]
    gains: Sequence[Gain]
    columns: Sequence[str]
    asked: Asked
    shown: int = 2

    @property
    def own(self) -> TaskMetrics:
        """The model with each task's own support set."""
        return self.systems[OWN]

    def context_control(self, gain: Gain) -> str:
        """The better of `none` and, where it was asked, `twin`, by the mean of a metric."""
        found = [name for name in (TWIN, NONE) if name in self.systems]
        return max(found, key=lambda n: gain.sign * self.systems[n].means()[gain.metric])

    def verdict(self) -> Verdict:
        """What may be said of the model, by the decisive metric."""
        decisive = self.gains[0]
        return Verdict(
            decisive.metric,
            {
                name: better_by(self.own, one, decisive)
                for name, one in self.systems.items()
                if name != OWN
            },
            {**_IN_SENTENCES, **self.simple.labels},
            self.context_control(decisive),
            self.simple.chance,
            self.asked.tasks,
        )

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json` that evaluation knows, as docs/runs.md describes it."""
        return {
            "protocol": self.asked.protocol,
            "known": dict(self.asked.known),
            "meta_test": _plain(self.own.means()),
            "meta_test_interval": _plain(self.own.half_widths()),
            "controls": {
                name: _plain(one.means()) for name, one in self.systems.items() if name != OWN
            },
            "controls_interval": {
                name: self._columns(one.half_widths())
                for name, one in self.systems.items()
                if name != OWN
            },
            "control_settings": {name: dict(one) for name, one in self.chosen.items() if one},
            "parts": {name: self._parts(one) for name, one in self.systems.items()},
            "lists": self._lists(),
            "scores": score_summary(self.own.scores) if len(self.own.scores) else None,
            "curve": {
                size: {
                    name: self._columns(one.means()) | self._parts(one)
                    for name, one in systems.items()
                }
                for size, systems in self.curve.items()
            },
            "context_gain": self._context_gain(),
            "verdict": self.verdict().as_json(),
        }

    def tasks(self) -> pd.DataFrame:
        """One line a task: name, users asked, the model's metrics, then the decisive metric of each
        control as `<metric> of <control>`.
        """
        table = self.own.table()
        metric = self.gains[0].metric
        for name, one in self.systems.items():
            if name != OWN:
                table[f"{metric} of {name}"] = one.table()[metric]
        return table

    def table(self, name: str) -> str:
        """The report as text; `name` is the model's."""
        labels = control_labels(name, self.simple)
        order = (OWN, TWIN, NONE, *self.simple.labels, SWAPPED, FLIPPED)
        columns = self.columns[: self.shown]
        interval = f"  ± (95%, over {self.asked.tasks})"
        width = max(len(label) for label in (interval, f"{name}, unknown items", *labels.values()))
        lines = [self._headline(), f"{'':{width}}{_row(columns)}"]
        for one in order:
            if one in self.systems:
                lines.append(f"{labels[one]:{width}}{_row(self.systems[one].means(), columns)}")
            if one == OWN:
                lines.append(f"{interval:{width}}{_row(self.own.half_widths(), columns)}")
        if self.curve:
            lines += ["", *self._curve_lines(labels, width)]
        return "\n".join([*lines, "", f"Verdict: {self.verdict().sentence}"])

    def _headline(self) -> str:
        asked = self.asked
        count = np.sum(~np.isnan(self.own.rows[self.gains[0].metric]))
        rows = f", {count:,} {asked.rows}" if asked.rows != asked.tasks else ""
        known = " and ".join(f"{share:.0%} of its {what}" for what, share in asked.known.items())
        return (
            f"{len(self.own.names)} held-out {asked.tasks}{rows}. Protocol: {asked.protocol}; "
            f"known of what is asked: {known}."
        )

    def _curve_lines(self, labels: Mapping[str, str], width: int) -> list[str]:
        decisive, names = self.gains[0], [*self.curve]
        shown = [
            (labels[one], one, None)
            for one in (OWN, self.context_control(decisive), *self.simple.in_curve)
        ]
        # What the unknown ones get, where that is not what all get.
        for part, spelled in _PARTS.items():
            if part in self.own.part_means() and not self._is_all(part):
                shown.append((f"{labels[OWN]}, {spelled}", OWN, part))
        lines = [
            f"{decisive.metric} by size of the support set, mean of {self.asked.draws} draws:",
            f"{'':{width}}" + "".join(f"{size:>8}" for size in names),
        ]
        for label, system, part in shown:
            means = [
                one[system].means() if part is None else one[system].part_means().get(part, {})
                for one in self.curve.values()
            ]
            cells = (f"{one.get(decisive.metric, math.nan):>8.4f}" for one in means)
            lines.append(f"{label:{width}}{''.join(cells)}")
        return lines

    def _is_all(self, part: str) -> bool:
        metric = self.gains[0].metric
        rows, asked = self.own.parts[part][metric], self.own.rows[metric]
        return bool(np.array_equal(rows, asked, equal_nan=True))

    def _context_gain(self) -> dict[str, Any]:
        """Own minus the better of none and twin, of each gain's metric."""
        found: dict[str, Any] = {}
        for place, gain in enumerate(self.gains):
            control = self.context_control(gain)
            difference = better_by(self.own, self.systems[control], gain)
            prefix = "" if place == 0 else f"{gain.metric}_"
            found |= {
                gain.metric: finite(difference.mean),
                f"{prefix}interval": finite(difference.half_width),
                f"{prefix}over": control,
            }
        return found

    def _lists(self) -> dict[str, dict[str, float | None]]:
        """What each system's lists hold, and `taken`, what was to be found; empty for ratings."""
        found: dict[str, dict[str, float | None]] = {}
        for name, one in self.systems.items():
            listed = {key: value for key, value in one.lists.items() if "@" in key}
            if listed:
                found[name] = _plain(listed)
        if found:
            suffix = "_taken"
            taken = {k.removesuffix(suffix): v for k, v in self.own.lists.items() if "@" not in k}
            found["taken"] = _plain(taken)
        return found

    def _parts(self, metrics: TaskMetrics) -> dict[str, dict[str, float | None]]:
        return {name: self._columns(means) for name, means in metrics.part_means().items()}

    def _columns(self, means: Mapping[str, float]) -> dict[str, float | None]:
        return _plain({name: means[name] for name in self.columns})


def control_labels(model: str, simple: Simple) -> dict[str, str]:
    """How tables spell the model, called `model`, and each of its controls, by name."""
    return {OWN: model, **_LABELS, **simple.labels}


def _plain(means: Mapping[str, float]) -> dict[str, float | None]:
    return {name: finite(value) for name, value in means.items()}


def _row(values: Mapping[str, float] | Sequence[str], columns: Sequence[str] = ()) -> str:
    if not isinstance(values, Mapping):
        return "".join(f"{value:>{_NUMBER}}" for value in values)
    return "".join(f"{values[column]:>{_NUMBER}.4f}" for column in columns)
