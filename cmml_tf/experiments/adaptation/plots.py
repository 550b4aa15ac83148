"""Draws the experiments' results, one PNG an experiment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from cmml_tf.experiments.adaptation.cell import Cell

_DOTS_PER_INCH = 90


class _Axis(NamedTuple):
    label: str
    logarithmic: bool = False
    named: bool = False
    """Its places have names and no order."""


_AXES = {
    "modulation": _Axis("learning rate", True),
    "tasks-per-step": _Axis("tasks a step", True),
    "embedding-scale": _Axis("standard deviation of the embeddings", True),
    "hidden-dimension": _Axis("dimensions of the hidden direction"),
    "scenarios": _Axis("meta-training scenarios", True),
    "label-noise": _Axis("share of wrong support and training pairs"),
    "regularisation": _Axis("option, with ten meta-training scenarios", named=True),
    "support-pairs": _Axis("positive support pairs (and twice as many negatives)", True),
}


def draw(name: str, cells: Sequence[Cell], results: Sequence[dict[str, Any]], file: Path) -> None:
    """Writes the plot of an experiment."""
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    if name == "sequence":
        _draw_sensitivity(axes, cells, results)
    else:
        _draw_recall(axes, _AXES[name], cells, results)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.savefig(file, dpi=_DOTS_PER_INCH, metadata={"Software": None})
    plt.close(figure)


def _draw_recall(
    axes: Any, axis: _Axis, cells: Sequence[Cell], results: Sequence[dict[str, Any]]
) -> None:
    lines: dict[str, list[tuple[float, dict[str, float]]]] = {}
    for cell, result in zip(cells, results, strict=True):
        line = lines.setdefault(cell.series, [])
        if cell.support_sizes:
            line += [
                (int(size), {"own": value, "oracle": result["oracle"]})
                for size, value in result["by_support"].items()
            ]
        else:
            line.append((cell.x, result))
    for number, (series, points) in enumerate(lines.items()):
        x = [place for place, _ in points]
        own = [p["own"] for _, p in points]
        axes.plot(x, own, "o" if axis.named else "o-", color=f"C{number}", label=series)
        if "twin" in points[0][1]:
            twin = [max(p["twin"], p["none"]) for _, p in points]
            axes.plot(x, twin, "x" if axis.named else "x:", color=f"C{number}", alpha=0.6)
        if axis.label == _AXES["scenarios"].label:
            learned = [p["learned"] for _, p in points]
            label = f"{series}, scenarios learned from"
            axes.plot(x, learned, "^--", color=f"C{number}", alpha=0.6, label=label)
    longest = max(lines.values(), key=len)
    axes.plot([x for x, _ in longest], [p["oracle"] for _, p in longest], "k--", label="oracle")
    if "twin" in longest[0][1]:
        axes.plot([], [], "kx:", alpha=0.6, label="the same without support sets")
    if axis.named:
        axes.tick_params(axis="x", labelrotation=20)
    axes.set_xlabel(axis.label)
    axes.set_ylabel("Recall@10, unseen scenarios")
    if axis.logarithmic:
        axes.set_xscale("log")


def _draw_sensitivity(axes: Any, cells: Sequence[Cell], results: Sequence[dict[str, Any]]) -> None:
    for cell, result in zip(cells, results, strict=True):
        label = f"{cell.series}: Recall@10 {result['own']:.3f}, swapped {result['swapped']:.3f}"
        axes.plot([max(value, 1e-6) for value in result["sensitivity"]], label=label)
    axes.set_yscale("log")
    axes.set_xlabel("place in the support sequence")
    axes.set_ylabel("how far a pair moves the context\n(the most influential place = 1)")
