"""Several user runs side by side: mean and interval over seeds, and the curve by support length."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from cmml_tf.config.judging import USER_CONTROLS
from cmml_tf.evaluation.report import NONE, OWN, TWIN
from cmml_tf.evaluation.statistics import mean_interval
from cmml_tf.experiments.markdown import markdown_table
from cmml_tf.training.run_folder import read_record

_METRICS = ("mae", "ndcg@3", "ndcg@1")
_GAINS = (("mae", "interval"), ("ndcg@3", "ndcg@3_interval"))
_HEADER = (
    *("model", "seeds", "MAE", "NDCG@3", "NDCG@1", "twin, MAE", "none, MAE"),
    *("context gain, MAE", "context gain, NDCG@3"),
)


@dataclass(frozen=True)
class RatingRuns:
    """Finished runs on the same question.

    Attributes:
      metrics: By preset, the content of `metrics.json` of each seed.
    """

    metrics: Mapping[str, Sequence[Mapping[str, Any]]]

    def table(self) -> str:
        """Markdown: the simple systems to beat, then each preset with its controls.

        ± is half of a 95% interval over seeds and users: the root of the sum of the squares of that
        over seeds (Student's t) and of the mean squares of those of one run over users, since the
        users may be the same in each. `context gain` is the own support's better result than that
        of the better of `twin` and `none`.
        """
        lines: list[list[str]] = []
        for name in self._simple():
            rows = [one["controls"][name] for one in self._every()]
            cells = [_spelled(_over_seeds([row[metric] for row in rows])) for metric in _METRICS]
            lines.append([name, "", *cells, *[""] * 4])
        for name, seeds in self.metrics.items():
            cells = [
                _spelled(
                    _over_seeds(
                        [one["meta_test"][metric] for one in seeds],
                        [one["meta_test_interval"][metric] for one in seeds],
                    )
                )
                for metric in _METRICS
            ]
            for control in (TWIN, NONE):
                means = [one["controls"][control][_METRICS[0]] for one in seeds]
                cells.append(_spelled(_over_seeds(means)))
            gains = [_gain(seeds, *names) for names in _GAINS]
            lines.append([name, str(len(seeds)), *cells, *gains])
        return markdown_table(_HEADER, lines)

    def curve(self, name: str) -> dict[str, tuple[float, float]]:
        """MAE of a preset or simple system by ratings known: mean and interval over seeds."""
        runs, system = self.metrics.get(name), OWN
        if runs is None:
            runs, system = self._every(), name
        return {
            size: _over_seeds([one["curve"][size][system]["mae"] for one in runs])
            for size in runs[0]["curve"]
        }

    def curve_table(self) -> str:
        """Markdown: MAE by the number of known ratings, a line a system."""
        curves = {name: self.curve(name) for name in (*self._simple(), *self.metrics)}
        sizes = list(next(iter(curves.values())))
        lines = [
            [name, *(f"{points[size][0]:.4f}" for size in sizes)] for name, points in curves.items()
        ]
        return markdown_table(["MAE with ratings known", *sizes], lines)

    def _every(self) -> list[Mapping[str, Any]]:
        return [one for seeds in self.metrics.values() for one in seeds]

    def _simple(self) -> list[str]:
        """The controls without a model, which are the same for every preset."""
        return [name for name in USER_CONTROLS if name in self._every()[0]["controls"]]

    def plot_curve(self, file: Path) -> None:
        """Draws the curves, each with its interval over seeds, beside the simple systems."""
        from matplotlib.figure import Figure  # takes long to load

        figure = Figure(figsize=(6.6, 3.85), layout="constrained")
        axes = figure.subplots()
        for name in self.metrics:
            points = self.curve(name)
            mean = [point[0] for point in points.values()]
            half = [0.0 if math.isnan(point[1]) else point[1] for point in points.values()]
            axes.errorbar(list(points), mean, half, marker="o", capsize=3, label=name)
        for name in self._simple():
            points = self.curve(name)
            mean = [point[0] for point in points.values()]
            axes.plot(list(points), mean, linestyle="--", alpha=0.7, label=name)
        axes.set(xlabel="ratings known of the user", ylabel="MAE (stars)")
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(file, dpi=100)


def read_rating_runs(folders: Sequence[Path]) -> RatingRuns:
    """Reads finished run folders of the user setting.

    Raises:
      FileNotFoundError: A folder holds no finished run.
      ValueError: The runs were asked different questions, one preset has a seed twice, or a file is
        damaged.
    """
    metrics: dict[str, list[dict[str, Any]]] = {}
    seen: dict[tuple[str, int], Path] = {}
    first = None
    for folder in folders:
        files = [folder / name for name in ("config.yaml", "metrics.json")]
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(f"{folder} holds no finished run: it has no {file.name}.")
        config, found = map(read_record, files)
        tasks = {k: v for k, v in config["tasks"].items() if k != "validation_fraction"}
        question = {"data": config["data"], **tasks}
        first = first or question
        if question != first:
            different = sorted(name for name in question if question[name] != first.get(name))
            raise ValueError(
                f"All runs must be asked the same. {folder} differs from {folders[0]} in: "
                f"{', '.join(different)}."
            )
        key = config["preset"], config["seed"]
        if key in seen:
            raise ValueError(f"{seen[key]} and {folder} are the same preset and seed.")
        seen[key] = folder
        metrics.setdefault(config["preset"], []).append(found)
    return RatingRuns(metrics)


def _over_seeds(
    values: Sequence[float], over_users: Sequence[float | None] = ()
) -> tuple[float, float]:
    """Mean over seeds and half of its interval over seeds, and users where that is given."""
    mean, half = mean_interval(values)
    squares = [one**2 for one in over_users if one is not None]
    if squares:
        half = math.hypot(0.0 if math.isnan(half) else half, math.sqrt(fmean(squares)))
    return mean, half


def _spelled(interval: tuple[float, float], sign: str = "") -> str:
    mean, half = interval
    text = format(mean, f"{sign}.4f")
    return text if math.isnan(half) or half < 5e-5 else f"{text} ± {half:.4f}"


def _gain(runs: Sequence[Mapping[str, Any]], name: str, interval: str) -> str:
    gains = [run["context_gain"] for run in runs]
    return _spelled(
        _over_seeds([gain[name] for gain in gains], [gain[interval] for gain in gains]), "+"
    )
