"""A comparison in the layout of one of the paper's tables, the paper's numbers beside ours."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cmml_tf.experiments.comparison import Comparison, Mean, Row
from cmml_tf.experiments.forms import FORMS
from cmml_tf.experiments.markdown import markdown_table
from cmml_tf.experiments.paper_tables import PaperColumns, PaperTable
from cmml_tf.settings.systems import first_name


class Part(NamedTuple):
    """Columns of a table that stand together.

    Attributes:
      heading: In front of the metrics' names; empty for a table of one part.
      comparison: Our numbers.
      columns: Which metrics.
      beside: The paper's numbers of the same data set; None if it has none.
    """

    heading: str
    comparison: Comparison
    columns: PaperColumns
    beside: PaperColumns | None


class _Column(NamedTuple):
    title: str
    cells: dict[str, str]


def layout(name: str, table: PaperTable, parts: Sequence[Part], data: str) -> str:
    """The table in Markdown: the paper's rows in its order, then systems that it does not have.

    Args:
      name: Such as `table2`.
      table: Of the paper.
      parts: Its columns.
      data: Name of the data set at hand.
    """
    systems = FORMS[table.setting].systems
    rows = [(label, first_name(systems, system)) for label, system in table.rows]
    known = {system for _, system in rows}
    more = {
        row.system: row.label
        for part in parts
        for row in part.comparison.rows
        if row.system not in known
    }
    rows += [(f"*{label}*", system) for system, label in more.items()]
    columns = [column for part in parts for column in _columns(table, part, rows)]
    lines = [[label, *(column.cells[label] for column in columns)] for label, _ in rows]
    text = markdown_table(["Method", *(column.title for column in columns)], lines)
    seeds = sorted({row.seeds for part in parts for row in part.comparison.rows})
    caption = f"**Table {name.removeprefix('table')}. {table.title}.** "
    return f"{caption}{_about(parts, data, seeds)}\n\n{text}\n"


def layout_json(parts: Sequence[Part], data: str) -> dict[str, Any]:
    """The same as numbers."""
    return {
        "data": data,
        "parts": [
            {
                "heading": part.heading,
                "ours": part.comparison.as_json(),
                "metrics": part.columns.metrics,
                "paper": None
                if part.beside is None
                else {"values": part.beside.values, "five_seeds": part.beside.five_seeds},
            }
            for part in parts
        ],
    }


def _columns(table: PaperTable, part: Part, rows: Sequence[tuple[str, str]]) -> list[_Column]:
    ours = {row.system: row for row in part.comparison.rows}
    percent = table.setting == "scenario"
    heading = f"{part.heading} " if part.heading else ""
    columns = []
    for place, metric in enumerate(part.columns.metrics):
        columns.append(
            _Column(
                f"{heading}{_title(metric)}",
                {
                    label: _ours(ours.get(system), metric, percent, part.comparison.best)
                    for label, system in rows
                },
            )
        )
        if part.beside is not None:
            cells = {label: _theirs(part.beside, label, place) for label, _ in rows}
            columns.append(_Column("paper", cells))
    gain = f"context gain, {_title(part.comparison.form.decisive.metric)}"
    columns.append(
        _Column(
            f"{heading}{gain}",
            {
                label: _mean(ours[system].gain, percent, signed=True) if system in ours else ""
                for label, system in rows
            },
        )
    )
    columns.append(_Column("p", {label: _p(ours.get(system)) for label, system in rows}))
    if len({row.seeds for row in part.comparison.rows}) > 1:
        seeds = {label: str(ours[system].seeds) for label, system in rows if system in ours}
        columns.append(_Column("seeds", {label: seeds.get(label, "") for label, _ in rows}))
    return columns


def _about(parts: Sequence[Part], data: str, seeds: Sequence[int]) -> str:
    first = parts[0]
    spread = " to ".join(map(str, sorted({seeds[0], seeds[-1]})))
    some = f"{spread} seed{'s' if seeds[-1] > 1 else ''}"
    sentence = f"{data}, {some}: mean ± 95% interval over seeds and tasks. "
    if first.beside is None:
        sentence += (
            f"The paper's numbers are of {first.columns.data} and not comparable, so they are left "
            "out. "
        )
    else:
        sentence += f"Paper: {first.beside.reference}, in brackets with 5 seeds. "
    metric = _title(first.comparison.form.decisive.metric)
    return sentence + (
        f"Bold: best {metric}; p against it (Wilcoxon over tasks, Holm). Context gain: own support "
        "against the better of an empty one and the same model trained without any. In italics: "
        "not in the paper's table."
    )


def _ours(row: Row | None, metric: str, percent: bool, best: str) -> str:
    if row is None:
        return "not run"
    text = _mean(row.metrics[metric], percent)
    return f"**{text}**" if row.system == best else text


def _mean(mean: Mean, percent: bool, signed: bool = False) -> str:
    if mean.mean != mean.mean:
        return ""
    factor, digits = (100.0, 2) if percent else (1.0, 4)
    text = format(factor * mean.mean, f"{'+' if signed else ''}.{digits}f")
    if mean.half_width == mean.half_width:
        text += f" ± {factor * mean.half_width:.{digits}f}"
    return text


def _theirs(columns: PaperColumns, label: str, place: int) -> str:
    if label not in columns.values:
        return ""
    text = f"{columns.values[label][place]:g}"
    if label in columns.five_seeds:
        mean, half_width = columns.five_seeds[label][place]
        text += f" ({mean:.2f} ± {half_width:.2f})"
    return text


def _p(row: Row | None) -> str:
    if row is None:
        return ""
    return "best" if row.p is None else f"{row.p:.2g}"


def _title(metric: str) -> str:
    return metric.replace("recall", "Recall").replace("ndcg", "NDCG").replace("mae", "MAE")
