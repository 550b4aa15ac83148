"""Drawings for figures 2, 3 and 4, as PNG and SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram

from cmml_tf.interpretation.routes import Clustering, route_names, split_routes

# Okabe and Ito's colours, told apart by colour-blind readers too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKERS = "os^DvP*X<>"


class Projection(NamedTuple):
    """One panel of a figure of contexts.

    Attributes:
      title: Above it.
      points: [N, 2].
      groups: N names; points of a group share a colour.
      tasks: N names; points of a task share a marker.
    """

    title: str
    points: np.ndarray
    groups: Sequence[str]
    tasks: Sequence[str]


def draw_projections(panels: Sequence[Projection], caption: str) -> Figure:
    """Contexts in the plane: colour tells the group, marker the task within it."""
    figure = Figure(figsize=(5.2 * len(panels), 6.2), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        groups, tasks = np.array(panel.groups), np.array(panel.tasks)
        for place, group in enumerate(dict.fromkeys(panel.groups)):
            for marker, task in enumerate(dict.fromkeys(tasks[groups == group])):
                chosen = (groups == group) & (tasks == task)
                axes.scatter(
                    *panel.points[chosen].T,
                    s=18,
                    color=_COLOURS[place % len(_COLOURS)],
                    marker=_MARKERS[marker % len(_MARKERS)],
                    linewidths=0,
                    alpha=0.75,
                    label=task,
                )
        axes.set(title=panel.title, xticks=[], yticks=[])
        columns = 1 if len(set(tasks)) < 5 else 2
        axes.legend(
            fontsize=7,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.01),
            ncols=columns,
            frameon=False,
        )
    figure.supxlabel(caption, fontsize=8, wrap=True)
    return figure


def draw_routes(tasks: Mapping[str, np.ndarray], modules: int, caption: str) -> Figure:
    """Modules as dots, layer by layer; the darker and wider a line, the more weight it has.

    Args:
      tasks: Name to routes [R].
      modules: M.
      caption: Below.
    """
    figure = Figure(figsize=(4.6 * len(tasks), 4.2), layout="constrained")
    for axes, (name, routes) in zip(
        figure.subplots(1, len(tasks), squeeze=False)[0], tasks.items(), strict=True
    ):
        _draw_network(axes, split_routes(routes, modules), modules)
        axes.set_title(name, fontsize=10)
    figure.supxlabel(caption, fontsize=8, wrap=True)
    return figure


def draw_route_map(
    names: Sequence[str], routes: np.ndarray, clustering: Clustering, modules: int, caption: str
) -> Figure:
    """Tasks by routes: how far each route's weight lies from its mean over tasks, tasks clustered.

    Args:
      names: T tasks.
      routes: [T, R].
      clustering: Of the tasks.
      modules: M.
      caption: Below.
    """
    figure = Figure(figsize=(12, 1.8 + 0.22 * len(names)), layout="constrained")
    tree, axes = figure.subplots(1, 2, width_ratios=[1, 8])
    with rc_context({"lines.linewidth": 0.8}):
        dendrogram(
            clustering.linkage, orientation="left", ax=tree, no_labels=True, color_threshold=0
        )
    tree.axis("off")
    difference = (routes - routes.mean(axis=0))[clustering.order]
    limit = max(np.abs(difference).max(), 1e-6)
    image = axes.imshow(
        difference, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit, origin="lower"
    )
    layers = (routes.shape[1] - modules) // modules**2 + 1
    axes.set_xticks(range(routes.shape[1]), route_names(layers, modules), rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), [names[n] for n in clustering.order], fontsize=8)
    axes.yaxis.tick_right()
    for boundary in range(1, layers):
        axes.axvline(boundary * modules**2 - 0.5, color="black", linewidth=0.8)
    figure.colorbar(image, ax=axes, location="top", shrink=0.4, label="weight - mean over tasks")
    figure.supxlabel(caption, fontsize=8, wrap=True)
    return figure


class Curve(NamedTuple):
    """One line of a panel of costs.

    Attributes:
      label: In the legend.
      steps: Inner gradient steps; empty for a system without, drawn as a level line.
      values: One for each of `steps`, or a single one.
    """

    label: str
    steps: Sequence[int]
    values: Sequence[float]


def draw_costs(panels: Mapping[str, Sequence[Curve]], caption: str) -> Figure:
    """Costs against inner steps; the title of a panel says what and in which unit."""
    figure = Figure(figsize=(3.6 * len(panels), 4.0), layout="constrained")
    for axes, (title, curves) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for place, curve in enumerate(curves):
            colour = _COLOURS[place % len(_COLOURS)]
            if len(curve.steps):
                axes.plot(curve.steps, curve.values, marker="o", color=colour, label=curve.label)
                axes.set_xticks(curve.steps)
            else:
                axes.axhline(curve.values[0], color=colour, linestyle="--", label=curve.label)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("inner gradient steps")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.supxlabel(caption, fontsize=8, wrap=True)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Writes `path` with the endings .png and .svg; text in the SVG stays text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=150)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": path.name}):
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def _draw_network(axes: Axes, matrices: Sequence[np.ndarray], modules: int) -> None:
    middle = (modules - 1) / 2
    for layer, matrix in enumerate(matrices):
        targets = matrix.shape[1]
        for source in range(modules):
            for target in range(targets):
                weight = float(matrix[source, target])
                height = target if targets == modules else middle
                axes.plot(
                    [layer, layer + 1],
                    [source, height],
                    color="black",
                    alpha=min(1.0, 0.05 + 0.95 * weight),
                    linewidth=0.5 + 5 * weight,
                    solid_capstyle="round",
                    zorder=1,
                )
        axes.scatter([layer] * modules, range(modules), s=160, color=_COLOURS[0], zorder=2)
    axes.scatter([len(matrices)], [middle], s=160, color=_COLOURS[1], zorder=2)
    ticks = [f"layer {layer + 1}" for layer in range(len(matrices))] + ["score"]
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set_yticks(range(modules), [f"module {n + 1}" for n in range(modules)], fontsize=8)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
