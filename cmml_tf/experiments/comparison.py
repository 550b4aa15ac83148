"""From the cells of a comparison to its tables: intervals over seeds and tasks, paired tests."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from cmml_tf.evaluation.report import FLIPPED, NONE, OWN, SWAPPED, TWIN
from cmml_tf.evaluation.significance import holm, wilcoxon_p
from cmml_tf.evaluation.statistics import mean_interval, mean_over_runs
from cmml_tf.experiments.comparison_cell import Cell, CellResult, write_parquet
from cmml_tf.experiments.markdown import markdown_table
from cmml_tf.files import write_whole
from cmml_tf.settings.form import SettingForm
from cmml_tf.training.efficiency import Cost

CONTROLS = (TWIN, NONE, SWAPPED, FLIPPED)
"""Controls that are the model itself, asked or trained otherwise."""


class Mean(NamedTuple):
    """A mean over seeds and half of its 95% interval over seeds and tasks; NaN: too few of them."""

    mean: float
    half_width: float

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return ""
        interval = "" if math.isnan(self.half_width) else f" ± {self.half_width:.4f}"
        return f"{self.mean:.4f}{interval}"


@dataclass(frozen=True)
class Row:
    """One system of the table.

    Attributes:
      system: Its name.
      label: How tables spell it.
      seeds: Seeds it was run with.
      metrics: Means over seeds with the own support.
      controls: Of a model, the decisive metric's means of `twin`, `none`, `swapped`, `flipped`.
      gain: Of a model, how much better the decisive metric is than the better of `none` and `twin`.
      curve: The decisive metric by the size of the support; intervals over seeds alone.
      parts: The decisive metric with the own support on a part of what is asked, such as
        `unknown_items`; without those that nobody was asked.
      p: Against the best system, paired over tasks, adjusted by Holm; None for the best itself.
      cost: Means over seeds.
    """

    system: str
    label: str
    seeds: int
    metrics: dict[str, Mean]
    controls: dict[str, Mean]
    gain: Mean
    curve: dict[str, Mean]
    parts: dict[str, Mean]
    p: float | None
    cost: Cost


@dataclass(frozen=True)
class Comparison:
    """Every system on the same episodes.

    Attributes:
      form: Of the setting.
      rows: In the order asked for.
      best: Name of the system with the best decisive metric.
      tasks: All per-task results.
      known: Shares of what is asked whose `users` and `items` are known, means over seeds.
    """

    form: SettingForm
    rows: tuple[Row, ...]
    best: str
    tasks: pd.DataFrame
    known: dict[str, float]

    @classmethod
    def of(cls, form: SettingForm, out: Path, cells: Sequence[Cell]) -> "Comparison":
        """Reads finished cells.

        Raises:
          FileNotFoundError: A cell is not finished.
          ValueError: Two systems of a seed were not asked the same episodes.
        """
        results = {cell: cell.load(out) for cell in cells}
        _check_same_episodes(results)
        tasks = pd.concat([result.tasks for result in results.values()], ignore_index=True)
        names = list(dict.fromkeys(cell.system for cell in cells))
        of_system = {
            name: [result for cell, result in results.items() if cell.system == name]
            for name in names
        }
        metric, sign = form.decisive
        best = max(names, key=lambda n: sign * fmean(r.means[OWN][metric] for r in of_system[n]))
        others = [name for name in names if name != best]
        p = dict(zip(others, holm([_p(tasks, name, best, metric) for name in others]), strict=True))
        rows = tuple(_row(form, name, of_system[name], tasks, p.get(name)) for name in names)
        shares = pd.DataFrame([result.known for result in of_system[best]])
        known = {str(what): float(share) for what, share in shares.mean().items()}
        return cls(form, rows, best, tasks, known)

    def row(self, system: str) -> Row:
        """The row of a system, by name.

        Raises:
          KeyError: It is not in the comparison.
        """
        return {row.system: row for row in self.rows}[system]

    def markdown(self) -> str:
        """The tables, and what their columns are."""
        metric = self.form.decisive.metric
        controls = [name for name in CONTROLS if any(name in row.controls for row in self.rows)]
        header = ["system", "seeds", *self.form.columns, f"gain by context, {metric}", "p"]
        header += [f"{name}, {metric}" for name in controls]
        header += ["train, CPU s", "adapt, ms", "score, ms", "peak MiB"]
        systems = []
        for row in self.rows:
            mark = "**" if row.system == self.best else ""
            cells = [f"{mark}{row.label}{mark}", str(row.seeds)]
            cells += [str(row.metrics[name]) for name in self.form.columns]
            cells += [str(row.gain), "best" if row.p is None else f"{row.p:.3g}"]
            cells += [_number(_of(row.controls, name), ".4f") for name in controls]
            cells += [
                _number(row.cost.train_cpu_seconds, ".0f"),
                _number(row.cost.adapt_ms, ".2f"),
                _number(row.cost.score_ms, ".2f"),
                _number(row.cost.peak_memory_mib, ".0f"),
            ]
            systems.append(cells)
        lines = [markdown_table(header, systems), self._about()]
        sizes = list(dict.fromkeys(size for row in self.rows for size in row.curve))
        if sizes:
            curves = [
                [row.label, *(str(row.curve[size]) if size in row.curve else "" for size in sizes)]
                for row in self.rows
            ]
            table = markdown_table([f"{metric} by size of the support", *sizes], curves)
            lines += ["", table, "", "By the size of the support: ± over seeds alone."]
        return "\n".join(lines) + "\n"

    def _about(self) -> str:
        metric = self.form.decisive.metric
        return (
            "\nMeans over seeds ± 95% interval over seeds and tasks, clustered both ways "
            "(Student's t, the smaller number of both less 1). p: Wilcoxon's signed-rank "
            f"test of {metric} against the best (bold), paired over {self.tasks['task'].nunique()} "
            "tasks, each averaged over seeds, adjusted by Holm. Gain by context: own support "
            "against the better of twin (trained without ever a support) and none (its own with an "
            "empty one). Swapped: another task's support; flipped: own labels flipped. "
            f"Adapt: one task; score: {self.form.request} of an adapted task (median CPU time). "
            "Peak: resident memory of the process that trained and evaluated the system."
        )

    def as_json(self) -> dict[str, Any]:
        """The table as numbers; NaN becomes null."""
        return {
            "setting": self.form.name,
            "decisive_metric": self.form.decisive.metric,
            "best": self.best,
            "known": self.known,
            "systems": [
                {
                    "system": row.system,
                    "label": row.label,
                    "seeds": row.seeds,
                    "metrics": {name: _plain(mean) for name, mean in row.metrics.items()},
                    "controls": {name: _plain(mean) for name, mean in row.controls.items()},
                    "context_gain": _plain(row.gain),
                    "curve": {size: mean.mean for size, mean in row.curve.items()},
                    "curve_interval": {
                        size: _plain(mean)["half_width"] for size, mean in row.curve.items()
                    },
                    "parts": {name: _plain(mean) for name, mean in row.parts.items()},
                    "p": row.p,
                    "cost": row.cost._asdict(),
                }
                for row in self.rows
            ],
        }

    def save(self, out: Path) -> None:
        """Writes `tasks.parquet`, `table.json`, `table.md` and `report.html`."""
        write_parquet(out / "tasks.parquet", self.tasks)
        write_whole(out / "table.json", json.dumps(self.as_json(), indent=2))
        write_whole(out / "table.md", self.markdown())
        from cmml_tf.reports.comparison_page import write_comparison_report  # loads matplotlib

        write_comparison_report(out, self.form)


def _row(
    form: SettingForm,
    name: str,
    results: Sequence[CellResult],
    tasks: pd.DataFrame,
    p: float | None,
) -> Row:
    metric, sign = form.decisive
    of_support = dict(iter(tasks[tasks["system"] == name].groupby("support")))
    controls = {
        control: _mean_of(of_support[control], metric)
        for control in CONTROLS
        if control in of_support
    }
    gain = Mean(math.nan, math.nan)
    if {NONE, TWIN} <= controls.keys():
        better = max((TWIN, NONE), key=lambda control: sign * controls[control].mean)
        difference = of_support[OWN].set_index(["seed", "task"])
        other = of_support[better].set_index(["seed", "task"])[metric]
        difference = difference.assign(**{metric: sign * (difference[metric] - other)})
        gain = _mean_of(difference.reset_index(), metric)
    sizes = [size for size in results[0].curve if all(size in one.curve for one in results)]
    return Row(
        name,
        form.systems[name].label,
        len(results),
        {m: _mean_of(of_support[OWN], m) for m in results[0].means[OWN]},
        controls,
        gain,
        {
            size: Mean(*mean_interval([one.curve[size][OWN][metric] for one in results]))
            for size in sizes
        },
        _parts(of_support[OWN], metric),
        p,
        Cost(*(_mean_cost([getattr(r.cost, field) for r in results]) for field in Cost._fields)),
    )


def _mean_of(tasks: pd.DataFrame, metric: str, rows: str = "rows") -> Mean:
    """Over the seeds and tasks of one system with one support."""
    columns = (tasks[name].to_numpy() for name in (metric, "seed", "task", rows))
    return Mean(*mean_over_runs(*columns))


def _parts(tasks: pd.DataFrame, metric: str) -> dict[str, Mean]:
    prefix = f"{metric} of "
    names = [name.removeprefix(prefix) for name in tasks if name.startswith(prefix)]
    means = {name: _mean_of(tasks, f"{prefix}{name}", f"rows of {name}") for name in names}
    return {name: mean for name, mean in means.items() if not math.isnan(mean.mean)}


def _p(tasks: pd.DataFrame, name: str, best: str, metric: str) -> float:
    """Paired over tasks; a task that several seeds asked counts once, with its mean."""
    own = tasks[tasks["support"] == "own"]
    a, b = (own[own["system"] == one].set_index(["seed", "task"])[metric] for one in (name, best))
    both = pd.concat([a, b], axis=1, join="inner", keys=["a", "b"]).groupby(level="task").mean()
    return wilcoxon_p(both["a"].to_numpy(), both["b"].to_numpy())


def _check_same_episodes(results: dict[Cell, CellResult]) -> None:
    asked: dict[int, tuple[str, str]] = {}
    for cell, result in results.items():
        system, episodes = asked.setdefault(cell.seed, (cell.system, result.episodes_hash))
        if episodes != result.episodes_hash:
            raise ValueError(
                f"{cell.system} and {system} were not asked the same episodes with seed "
                f"{cell.seed}: remove the one or the other from the folder's cells."
            )


def _mean_cost(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _of(means: Mapping[str, Mean], name: str) -> float | None:
    return means[name].mean if name in means else None


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _plain(mean: Mean) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in mean._asdict().items()}
