"""The report of a comparison: every system on the same evaluation tasks."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from cmml_tf.evaluation.report import NONE, OWN
from cmml_tf.reports import markup
from cmml_tf.reports.form import ReportedForm, better, short
from cmml_tf.reports.groups import Compared, gains_and_losses
from cmml_tf.reports.known import PARTS, shares_known
from cmml_tf.reports.markup import Cell, Markup
from cmml_tf.reports.pictures import Dot, Part, Picture, draw_dots, draw_lines, or_nan
from cmml_tf.reports.written_page import write_page
from cmml_tf.training.run_folder import read_record

_NOTHING = {"mean": None, "half_width": None}


@dataclass(frozen=True)
class ComparisonContent:
    """A comparison that has been saved.

    Attributes:
      form: Of its setting.
      config: The record it began with; empty where there is none.
      table: Of `table.json`.
      tasks: Of `tasks.parquet`.
    """

    form: ReportedForm
    config: dict[str, Any]
    table: dict[str, Any]
    tasks: pd.DataFrame

    @property
    def systems(self) -> list[dict[str, Any]]:
        """The systems, the best first; behind all others what has no decisive metric."""
        metric, sign = self.form.decisive

        def place(one: Mapping[str, Any]) -> float:
            mean = one["metrics"][metric]["mean"]
            return math.inf if mean is None else -sign * mean

        return sorted(self.table["systems"], key=place)


def write_comparison_report(folder: Path, form: ReportedForm) -> Path:
    """Writes `report.html`, and its figures as SVG files, from a comparison's folder.

    Args:
      folder: Holds `table.json` and `tasks.parquet`.
      form: Of its setting.

    Returns:
      The page.

    Raises:
      ValueError: A file of the folder is missing or damaged.
      OSError: The folder cannot be written.
    """
    config = folder / "config.yaml"
    content = ComparisonContent(
        form,
        read_record(config) if config.exists() else {},
        read_record(folder / "table.json", ("systems", "best", "decisive_metric")),
        pd.read_parquet(folder / "tasks.parquet"),
    )
    return write_page(folder, *comparison_page(content))


def comparison_page(content: ComparisonContent) -> tuple[str, list[Picture]]:
    """The page and its pictures."""
    parts = [
        _systems(content),
        _controls(content),
        _curve(content),
        _groups(content),
        _known(content),
    ]
    data = content.config.get("data")
    on = f" on {Path(str(data)).name}" if data else ""
    text = markup.page(
        f"{len(content.systems)} systems{on}",
        markup.paragraph(
            f"{content.tasks['task'].nunique():,} held-out {content.form.asked[0]}, "
            f"{content.tasks['seed'].nunique():,} seeds. Intervals are 95%, over seeds and tasks.",
            kind="about",
        ),
        _verdict(content),
        "plain",
        [*(part for part, _ in parts), _cost(content), _made_of(content)],
    )
    return text, [picture for _, pictures in parts for picture in pictures]


def _verdict(content: ComparisonContent) -> str:
    metric = content.form.decisive.metric
    best, *others = content.systems
    said = f"{best['label']} is the best by {metric}, {_spelled(best['metrics'][metric])}"
    if not others:
        return f"{said}; nothing else was compared."
    second = others[0]
    said += f"; next is {second['label']}, {_spelled(second['metrics'][metric])}"
    p = second["p"]
    return f"{said} (p = {p:.3g}, Wilcoxon, adjusted by Holm)." if p is not None else f"{said}."


def _spelled(mean: Mapping[str, float | None]) -> str:
    return markup.interval(mean["mean"], mean["half_width"])


def _stacked(mean: Mapping[str, float | None]) -> Cell:
    return markup.stacked(mean["mean"], mean["half_width"])


def _dot(mean: Mapping[str, float | None]) -> Dot:
    return Dot.of(mean["mean"], mean["half_width"])


def _systems(content: ComparisonContent) -> Part:
    form, systems = content.form, content.systems
    metric = form.decisive.metric
    picture = draw_dots(
        "systems",
        f"The systems by {better(form)}, mean and 95% interval over seeds and tasks.",
        [(one["label"], {"mean": _dot(one["metrics"][metric])}) for one in systems],
        better(form),
        strong=systems[0]["label"],
    )
    rows = [
        [
            one["label"],
            one["seeds"],
            *(_stacked(one["metrics"][name]) for name in form.columns),
            "best" if one["p"] is None else f"{one['p']:.3g}",
        ]
        for one in systems
    ]
    return markup.section(
        "systems",
        "Systems side by side",
        markup.figures(picture.on_page()),
        markup.table(["system", "seeds", *form.columns, "p"], rows, strong=systems[0]["label"]),
        markup.paragraph(
            f"p: Wilcoxon's signed-rank test of {metric} against the best, paired over tasks, "
            "adjusted by Holm.",
            kind="quiet",
        ),
    ), [picture]


def _controls(content: ComparisonContent) -> Part:
    form = content.form
    metric = form.decisive.metric
    models = [one for one in content.systems if one["controls"]]
    if not models:
        return Markup(""), []
    found = dict.fromkeys(name for one in models for name in one["controls"])
    names = [NONE] * (NONE in found) + [name for name in found if name != NONE]
    picture = draw_dots(
        "controls",
        "Each model with its own support sets, with none, and with wrong ones.",
        [
            (
                one["label"],
                {
                    OWN: _dot(one["metrics"][metric]),
                    **{
                        name: Dot(_dot(one["controls"].get(name, _NOTHING)).value) for name in names
                    },
                },
            )
            for one in models
        ],
        better(form),
    )
    rows = [
        [
            one["label"],
            _stacked(one["metrics"][metric]),
            *(_stacked(one["controls"].get(name, _NOTHING)) for name in names),
            markup.signed(one["context_gain"]["mean"], one["context_gain"]["half_width"]),
        ]
        for one in models
    ]
    return markup.section(
        "controls",
        "What a support set is worth",
        markup.figures(picture.on_page()),
        markup.table([metric, OWN, *names, "gain by context"], rows),
        markup.paragraph(
            "Gain by context: own against the better of twin (trained without ever a support set) "
            "and none (empty ones).",
            kind="quiet",
        ),
    ), [picture]


def _curve(content: ComparisonContent) -> Part:
    form, systems = content.form, [one for one in content.systems if one["curve"]]
    sizes = list(dict.fromkeys(size for one in systems for size in one["curve"]))
    if not sizes:
        return Markup(""), []
    lines = {one["label"]: [or_nan(one["curve"].get(size)) for size in sizes] for one in systems}
    metric = form.decisive.metric
    picture = draw_lines(
        "curve",
        f"{metric} by the size of the support set.",
        sizes,
        dict(list(lines.items())[:8]),
        ("examples in the support set", better(form)),
    )
    rows = [
        [label, *(markup.written(value) for value in values)] for label, values in lines.items()
    ]
    return markup.section(
        "curve",
        "By the size of the support set",
        markup.figures(picture.on_page()),
        markup.table([metric, *sizes], rows),
    ), [picture]


def _groups(content: ComparisonContent) -> Part:
    """The best model beside itself without support sets, and the first simple system."""
    form = content.form
    metric, tasks = form.decisive.metric, content.tasks
    models = [one for one in content.systems if NONE in one["controls"]]
    simple = [name.replace("_", "-") for name in (*form.simple.in_curve, *form.simple.labels)]
    compared = {one["system"]: one["label"] for one in content.systems}
    first = next((name for name in simple if name in compared), None)
    if not models or first is None:
        return Markup(""), []
    model = models[0]["system"]
    wanted = {
        short(compared[model]): (model, OWN),
        "none": (model, NONE),
        short(compared[first]): (first, OWN),
    }
    columns = {
        label: tasks[(tasks["system"] == system) & (tasks["support"] == support)]
        .groupby("task")[metric]
        .mean()
        for label, (system, support) in wanted.items()
    }
    own = tasks[(tasks["system"] == model) & (tasks["support"] == OWN)]
    grouped = own.groupby("task")
    frame = pd.DataFrame({"rows": grouped["rows"].mean(), **columns})
    frame = frame.dropna().rename_axis("name").reset_index()
    result, pictures = gains_and_losses(form, Compared(frame, (), tuple(wanted)))
    return markup.section("groups", "Who gains, who loses", result), pictures


def _known(content: ComparisonContent) -> Part:
    form, systems = content.form, content.systems
    parts = [part for part in PARTS if any(part in one.get("parts", {}) for one in systems)]
    if not parts:
        return Markup(""), []
    means = {
        one["label"]: {part: one["parts"].get(part, _NOTHING) for part in parts} for one in systems
    }
    picture = draw_dots(
        "known",
        "Each system on known users and items, and on those that no training has seen.",
        [
            (label, {part.replace("_", " "): _dot(mean) for part, mean in of_system.items()})
            for label, of_system in means.items()
        ],
        better(form),
    )
    rows = [[label, *map(_stacked, of_system.values())] for label, of_system in means.items()]
    head = [form.decisive.metric, *(part.replace("_", " ") for part in parts)]
    return markup.section(
        "known",
        "Known and unknown",
        shares_known(content.table.get("known", {})),
        markup.figures(picture.on_page()),
        markup.table(head, rows, strong=systems[0]["label"]),
    ), [picture]


def _cost(content: ComparisonContent) -> Markup:
    names = {
        "steps": ("training steps", ",.0f"),
        "train_cpu_seconds": ("training, CPU s", ",.0f"),
        "adapt_ms": ("adapt, ms", ".2f"),
        "score_ms": ("score, ms", ".2f"),
        "peak_memory_mib": ("peak MiB", ",.0f"),
    }
    rows = [
        [
            one["label"],
            *(
                None if one["cost"].get(name) is None else format(one["cost"][name], form)
                for name, (_, form) in names.items()
            ),
        ]
        for one in content.systems
    ]
    return markup.section(
        "cost",
        "What they cost",
        markup.table(["system", *(label for label, _ in names.values())], rows),
        markup.paragraph(
            f"Adapt: to one task; score: {content.form.request} of an adapted task; median CPU "
            "time. Peak: resident memory of the process that trained and asked the system.",
            kind="quiet",
        ),
    )


def _made_of(content: ComparisonContent) -> Markup:
    if not content.config:
        return Markup("")
    text = yaml.safe_dump(json.loads(json.dumps(content.config)), sort_keys=False)
    return markup.section(
        "made-of",
        "Data and configuration",
        markup.details("Configuration", markup.preformatted(text)),
    )
