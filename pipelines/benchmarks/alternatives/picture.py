"""The cost of a request against what it finds, as an SVG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.alternatives.quality import RETRAINED

_LABELS = {
    "two_tower": "two-tower (TFRS)",
    RETRAINED: "two-tower, retrained with the support",
    "implicit_als": "ALS fold-in (implicit)",
}
_TITLES = {
    "strict": "strict: of the scenario, the support alone is known",
    "warm": "warm: its items are known by other users",
}
_LOOK: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "alternatives",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MARKERS = "osD^vPX"
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def draw(
    file: Path, recall: Mapping[str, Mapping[str, float]], milliseconds: Mapping[str, float]
) -> None:
    """A panel for each protocol; an empty mark where the support is held already.

    Args:
      file: Where it goes.
      recall: Recall@10 by protocol and system.
      milliseconds: A request for the scores of 100 candidates, by system, and as `..., cached`.
    """
    with rc_context(_LOOK):
        figure = Figure(figsize=(7.8, 3.4), layout="constrained")
        panels = figure.subplots(1, len(recall), sharex=True, squeeze=False)[0]
        for axes, (protocol, values) in zip(panels, recall.items(), strict=True):
            for place, (name, value) in enumerate(values.items()):
                system = "two_tower" if name == RETRAINED else name
                full, cached = milliseconds[system], milliseconds.get(f"{system}, cached")
                look = {"marker": _MARKERS[place], "color": f"C{place}", "linewidth": 1}
                axes.plot([full], [value], label=_LABELS.get(name, name), **look)
                if cached is not None:
                    axes.plot([cached, full], [value, value], markevery=[0], mfc="white", **look)
            axes.set_xscale("log")
            axes.set_title(_TITLES[protocol])
            axes.set_xlabel("CPU milliseconds of a request (100 candidates)")
            axes.grid(alpha=0.3)
        panels[0].set_ylabel("Recall@10")
        shown = panels[0].get_legend_handles_labels()
        figure.legend(*shown, loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(file, format="svg", metadata=_NO_METADATA)
