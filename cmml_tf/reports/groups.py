"""Who gains by a support set, and who loses: scenarios by name, or users in groups."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cmml_tf.reports.form import ReportedForm, better, short
from cmml_tf.reports.markup import Markup, figures, html, paragraph, signed, table
from cmml_tf.reports.pictures import Dot, Picture, clipped, draw_dots

_MOST_BY_NAME, _ENDS, _GROUPS = 60, 15, 8


class Compared(NamedTuple):
    """What of each task is compared.

    Attributes:
      tasks: A line a task: `name`, `rows` (what its metrics are means of), further counts, then
        the decisive metric of each system under its label.
      counts: Names of the further counts, the one that groups first.
      systems: Labels: the model, then what it is to be better than.
    """

    tasks: pd.DataFrame
    counts: Sequence[str]
    systems: Sequence[str]


def gains_and_losses(form: ReportedForm, compared: Compared) -> tuple[Markup, list[Picture]]:
    """A sentence, a figure and a table, sorted: who gains most comes first.

    Scenarios are named; users are put into groups, so that no report carries their ids.
    """
    tasks, (own, *others) = compared.tasks, compared.systems
    if not others or tasks.empty:
        return Markup(""), []
    sign, (what, rows_are) = form.decisive.sign, form.asked
    gains = _gains(tasks, own, others, sign)
    parts: list[str] = [paragraph(_sentence(gains, own, others, what))]
    pictures: list[Picture] = []
    head = [what, "gain", *compared.systems, rows_are, *compared.counts]
    about = (
        f"Gain: {own} less the better of {' and '.join(others)}, of {better(form)}; "
        "positive where the model is better."
    )

    def add(name: str, title: str, lines: pd.DataFrame, caption: str) -> None:
        lines = lines.assign(gain=_gains(lines, own, others, sign).min(axis=1))
        lines = lines.sort_values("gain", ascending=False, kind="stable")
        picture = draw_dots(
            name,
            caption,
            [
                (
                    f"{clipped(line['name'])} ({int(line['rows']):,})",
                    {one: Dot(line[one]) for one in compared.systems},
                )
                for _, line in lines.iterrows()
            ],
            better(form),
        )
        pictures.append(picture)
        counted = [
            [
                line["name"],
                signed(line["gain"]),
                *(float(line[one]) for one in compared.systems),
                int(line["rows"]),
                *(_count(line[count]) for count in compared.counts),
            ]
            for _, line in lines.iterrows()
        ]
        parts.extend(
            [
                Markup(f"<h3>{html(title)}</h3>") if title else "",
                figures(picture.on_page()),
                table(head, counted),
            ]
        )

    by_name = what != "users"
    if by_name and len(tasks) <= _MOST_BY_NAME:
        add("tasks", "", tasks, f"Each of the {what}, who gains most on top (in brackets: rows).")
    else:
        if by_name:
            order = np.argsort(-gains.min(axis=1).to_numpy(), kind="stable")
            ends = np.concatenate([order[:_ENDS], order[-_ENDS:]])
            caption = f"The {_ENDS} that gain most and the {_ENDS} that lose most."
            add("tasks", "Both ends", tasks.iloc[ends], caption)
        if compared.counts:
            groups = _grouped(tasks, compared)
            caption = f"Means of groups of {what}, by {compared.counts[0]} (in brackets: rows)."
            add("groups", f"By {compared.counts[0]}", groups, caption)
    parts.append(paragraph(about, kind="quiet"))
    return Markup("\n".join(part for part in parts if part)), pictures


def _gains(tasks: pd.DataFrame, own: str, others: Sequence[str], sign: float) -> pd.DataFrame:
    return pd.DataFrame({other: sign * (tasks[own] - tasks[other]) for other in others})


def _sentence(gains: pd.DataFrame, own: str, others: Sequence[str], what: str) -> str:
    both = " and ".join(others)
    above = int((gains > 0).all(axis=1).sum())
    losses = "; ".join(
        f"{int((gains[other] < 0).sum()):,} with less than by {other}" for other in others
    )
    return f"Of {len(gains):,} {what}: {above:,} with a gain by {own} over {both}; {losses}."


def _grouped(tasks: pd.DataFrame, compared: Compared) -> pd.DataFrame:
    """Means of up to eight groups of about the same number of tasks, by the first count."""
    by = compared.counts[0]
    edges = np.unique(np.quantile(tasks[by], np.linspace(0, 1, _GROUPS + 1), method="higher"))
    place = np.searchsorted(edges[1:-1], tasks[by], side="right") if len(edges) > 2 else 0
    lines = []
    for _, group in tasks.groupby(np.broadcast_to(place, len(tasks))):
        low, high = int(group[by].min()), int(group[by].max())
        line: dict[str, Any] = {"name": f"{low:,}" if low == high else f"{low:,} to {high:,}"}
        line["rows"] = group["rows"].sum()
        line |= {count: group[count].mean() for count in compared.counts}
        for one in compared.systems:
            defined = group[one].notna()
            line[one] = (
                np.average(group[one][defined], weights=group["rows"][defined])
                if defined.any()
                else float("nan")
            )
        lines.append(line)
    return pd.DataFrame(lines)


def _count(value: float) -> int | str:
    return int(value) if float(value).is_integer() else f"{value:,.1f}"


def run_groups(
    form: ReportedForm, tasks: pd.DataFrame, metrics: Sequence[str], own: str
) -> Compared | None:
    """The model, itself without a support set and the first simple control of a curve.

    Args:
      form: Of the setting.
      tasks: As a run's folder has them.
      metrics: Names of metrics.
      own: Label of the model.

    Returns:
      None where the file is of an earlier version, and says nothing of controls.
    """
    metric = form.decisive.metric
    simple = next(iter((*form.simple.in_curve, *form.simple.labels)))
    named = {"none": "none", simple: short(form.simple.labels[simple])}
    columns = {f"{metric} of {name}": label for name, label in named.items()}
    if not {metric, *columns} <= {*tasks.columns}:
        return None
    fixed = {"name", "users", *metrics}
    counts = [name for name in tasks.columns if name not in fixed and " of " not in name]
    renamed = tasks.rename(columns={"users": "rows", metric: own, **columns})
    systems = (own, *named.values())
    # Where the metric is undefined, as of a scenario of which nothing is to be found, none gains.
    return Compared(renamed.dropna(subset=[*systems]), counts, systems)
