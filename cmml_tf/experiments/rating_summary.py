"""Several user runs side by side: mean and interval over seeds, and the curve by support length."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmml_tf.evaluation.statistics import mean_interval
from cmml_tf.training.run_folder import read_record

_METRICS = ("mae", "ndcg@3", "ndcg@1")
_GAINS = (("mae", "interval"), ("ndcg@3", "ndcg@3_interval"))
_HEADER = ("model", "seeds", "MAE", "NDCG@3", "NDCG@1", "context gain, MAE", "NDCG@3")


@dataclass(frozen=True)
class RatingRuns:
    """Finished runs on the same question.

    Attributes:
      metrics: By preset, the content of `metrics.json` of each seed.
    """

    metrics: Mapping[str, Sequence[Mapping[str, Any]]]

    def table(self) -> str:
        """Markdown: the means to beat, then each preset, mean ± 95% interval over seeds.

        `context gain` is the mean over seeds of what the own support is better by than another
        user's; its ± is the larger of two: that over seeds, and the largest of one run over users.
        """
        lines = [_row(_HEADER), _row(["---"] * len(_HEADER))]
        every = [one for seeds in self.metrics.values() for one in seeds]
        for name in every[0]["baselines"]:
            rows = [one["baselines"][name] for one in every]
            cells = [_over_seeds([row[metric] for row in rows]) for metric in _METRICS]
            lines.append(_row([name, "", *cells, "", ""]))
        for name, seeds in self.metrics.items():
            cells = [_over_seeds([one["meta_test"][m] for one in seeds]) for m in _METRICS]
            gains = [_gain(seeds, *names) for names in _GAINS]
            lines.append(_row([name, str(len(seeds)), *cells, *gains]))
        return "\n".join(lines)

    def curve(self, name: str) -> dict[str, tuple[float, float]]:
        """MAE of a preset by support ratings known: mean and interval; `all` is the last."""
        seeds = self.metrics[name]
        points = {
            length: mean_interval([one["support_length"][length]["mae"] for one in seeds])
            for length in seeds[0]["support_length"]
        }
        points["all"] = mean_interval([one["meta_test"]["mae"] for one in seeds])
        return points

    def curve_table(self) -> str:
        """Markdown: MAE by the number of known ratings, a line a preset."""
        curves = {name: self.curve(name) for name in self.metrics}
        lengths = list(next(iter(curves.values())))
        lines = [_row(["MAE with ratings known", *lengths]), _row(["---"] * (len(lengths) + 1))]
        for name, points in curves.items():
            lines.append(_row([name, *(f"{points[length][0]:.4f}" for length in lengths)]))
        return "\n".join(lines)

    def plot_curve(self, file: Path) -> None:
        """Draws the curves, each with its interval over seeds, beside the global mean.

        Raises:
          ModuleNotFoundError: matplotlib is not installed; the message tells how.
        """
        try:
            from matplotlib.figure import Figure
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "The plot needs matplotlib, which is not installed. Run "
                "pip install 'cmml_tf[figures]'."
            ) from None
        figure = Figure(figsize=(6.6, 3.85), layout="constrained")
        axes = figure.subplots()
        for name in self.metrics:
            points = self.curve(name)
            mean = [point[0] for point in points.values()]
            half = [0.0 if math.isnan(point[1]) else point[1] for point in points.values()]
            axes.errorbar(list(points), mean, half, marker="o", capsize=3, label=name)
        means = [one["baselines"]["global mean"]["mae"] for s in self.metrics.values() for one in s]
        level, _ = mean_interval(means)
        axes.axhline(level, color="grey", linestyle="--", label="global mean")
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


def _over_seeds(values: Sequence[float]) -> str:
    mean, half = mean_interval(values)
    return f"{mean:.4f}" if math.isnan(half) or half < 5e-5 else f"{mean:.4f} ± {half:.4f}"


def _gain(runs: Sequence[Mapping[str, Any]], name: str, interval: str) -> str:
    gains = [run["context_gain"] for run in runs]
    if any(gain[name] is None for gain in gains):
        return ""
    mean, over_seeds = mean_interval([gain[name] for gain in gains])
    over_users = [gain[interval] for gain in gains if gain[interval] is not None]
    half = max([*over_users, 0.0 if math.isnan(over_seeds) else over_seeds])
    return f"{mean:+.4f} ± {half:.4f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
