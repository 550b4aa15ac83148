"""Figures of a report: dots with intervals, and lines; as files, and as a part of a page."""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cmml_tf.reports.markup import Markup, clean, html
from cmml_tf.reports.style import COLOURS, INK, LINE, MUTED, PAPER, SERIES

_WIDTH = 3.9
_LONGEST_LABEL = 24
_MARKERS = "osD^vPX*"
_LOOK: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


class Picture(NamedTuple):
    """A figure that is drawn.

    Attributes:
      name: Of its file, without an ending.
      caption: What it shows, in a sentence.
      svg: The file's text.
    """

    name: str
    caption: str
    svg: str

    def on_page(self) -> Markup:
        """As a part of a page, with the page's colours."""
        svg = self.svg[self.svg.index("<svg") :]
        svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
        for colour, variable in COLOURS.items():
            svg = svg.replace(colour, variable)
        # Several pictures on a page: each has names of its own.
        svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{self.name}-", svg)
        start = re.sub(r' (width|height)="[^"]*"', "", svg[: svg.index(">")], count=2)
        label = f' role="img" aria-label="{html(self.caption)}"'
        svg = f"{start}{label}{svg[svg.index('>') :]}"
        return Markup(f"<figure>{svg}<figcaption>{html(self.caption)}</figcaption></figure>")


class Dot(NamedTuple):
    """A value of a row.

    Attributes:
      value: Where it stands; NaN: nowhere.
      half_width: Half of its interval; NaN: none is known.
    """

    value: float
    half_width: float = float("nan")

    @classmethod
    def of(cls, value: float | None, half_width: float | None = None) -> "Dot":
        """As a JSON file has both; null: unknown."""
        return cls(or_nan(value), or_nan(half_width))


Part = tuple[Markup, list[Picture]]
"""A section of a page, and the pictures in it."""


def or_nan(value: float | None) -> float:
    """A number of a JSON file; NaN where it is null."""
    return float("nan") if value is None else value


def draw_dots(
    name: str,
    caption: str,
    rows: Sequence[tuple[str, Mapping[str, Dot]]],
    axis: str,
    strong: str | None = None,
    mark: tuple[str, float] | None = None,
) -> Picture:
    """Rows of dots on one axis, the first row on top.

    Args:
      name, caption: Of the picture.
      rows: Label and dots by series. With a single series, rows are all one colour but `strong`.
      axis: What is drawn, below it.
      strong: The label of a row that stands out.
      mark: A vertical line: its label and its place.
    """
    series = list(dict.fromkeys(one for _, dots in rows for one in dots))
    with rc_context(_LOOK):
        height = 0.75 + 0.27 * len(rows) + (0.28 if len(series) > 1 or mark else 0)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots()
        for place, one in enumerate(series):
            colour = SERIES[place % len(SERIES)]
            for y, (label, dots) in enumerate(rows):
                if one in dots:
                    value, half = dots[one]
                    quiet = len(series) == 1 and label != strong
                    axes.errorbar(
                        [value],
                        [y],
                        xerr=None if half != half else [half],
                        fmt=_MARKERS[place % len(_MARKERS)],
                        color=MUTED if quiet else colour,
                        # What a system has without anything is an empty dot.
                        markersize=6 if place == 0 else 5,
                        markerfacecolor=PAPER if place and place == 1 else None,
                        elinewidth=1.4,
                        capsize=2.5,
                        label=clean(one) if len(series) > 1 and y == _first(rows, one) else None,
                        zorder=3 + len(series) - place,
                    )
        axes.set_yticks(range(len(rows)), [clean(label) for label, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="x")
        axes.grid(axis="y", alpha=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(clean(axis))
        if mark is not None:
            axes.axvline(mark[1], color=SERIES[1], linestyle="--", linewidth=1.2, label=mark[0])
        if len(series) > 1 or mark is not None:
            _legend(figure, axes)
        return Picture(name, caption, _svg(figure, name))


def draw_lines(
    name: str,
    caption: str,
    places: Sequence[str | float],
    lines: Mapping[str, Sequence[float]],
    axes_labels: tuple[str, str],
) -> Picture:
    """Lines over places; the first one stands out.

    Args:
      name, caption: Of the picture.
      places: Names, which are set side by side, or numbers.
      lines: Values by label, one for each of the first places.
      axes_labels: Below and beside.
    """
    with rc_context(_LOOK):
        figure = Figure(figsize=(_WIDTH, 2.9), layout="constrained")
        axes = figure.subplots()
        named = any(isinstance(place, str) for place in places)
        x = range(len(places)) if named else [float(place) for place in places]
        for place, (label, values) in enumerate(lines.items()):
            axes.plot(
                list(x)[: len(values)],
                values,
                marker=_MARKERS[place % len(_MARKERS)] if len(places) < 30 else None,
                markersize=4.5 if place == 0 else 3.8,
                linewidth=2.2 if place == 0 else 1.3,
                color=SERIES[place % len(SERIES)],
                label=clean(label),
                zorder=3 + len(lines) - place,
            )
        if named:
            axes.set_xticks(x, [str(place) for place in places])
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.set_xlabel(clean(axes_labels[0]))
        axes.set_ylabel(clean(axes_labels[1]))
        if len(lines) > 1:
            _legend(figure, axes)
        return Picture(name, caption, _svg(figure, name))


def _first(rows: Sequence[tuple[str, Mapping[str, Dot]]], series: str) -> int:
    return next(place for place, (_, dots) in enumerate(rows) if series in dots)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    shown = dict(zip(labels, handles, strict=True))
    columns = 3 if max(map(len, shown)) < 14 else 2
    figure.legend(
        shown.values(),
        shown.keys(),
        loc="outside upper left",
        ncols=columns,
        handlelength=1.6,
        columnspacing=1.2,
        borderpad=0,
    )


def clipped(label: str) -> str:
    """A label that leaves room for a figure beside it."""
    label = clean(label)
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"


def _svg(figure: Figure, name: str) -> str:
    text = io.StringIO()
    salt: dict[Any, Any] = {"svg.hashsalt": name}
    with rc_context(salt), warnings.catch_warnings():
        # The font that lays out a label may lack its letters; whoever looks at it has another.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(text, format="svg", metadata=_NO_METADATA)
    return text.getvalue()
