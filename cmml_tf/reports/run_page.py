"""The report of a run: what a reader has to know first, then what it stands on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cmml_tf.evaluation.report import NONE, OWN, SWAPPED, TWIN, control_labels
from cmml_tf.reports import markup
from cmml_tf.reports.form import ReportedForm, best_first, better, short
from cmml_tf.reports.groups import gains_and_losses, run_groups
from cmml_tf.reports.known import PARTS, shares_known
from cmml_tf.reports.markup import Markup
from cmml_tf.reports.pictures import Dot, Part, Picture, draw_dots, draw_lines, or_nan
from cmml_tf.reports.run_content import RunContent
from cmml_tf.reports.written_page import write_page


def write_run_report(folder: Path, form: ReportedForm) -> Path:
    """Writes `report.html`, and its figures as SVG files, from what a run's folder holds.

    Args:
      folder: Of a finished run.
      form: Of its setting.

    Returns:
      The page.

    Raises:
      FileNotFoundError: The run is not finished.
      ValueError: A file of the folder is damaged.
      OSError: The folder cannot be written.
    """
    return write_page(folder, *run_page(RunContent.read(folder, form)))


def run_page(run: RunContent) -> tuple[str, list[Picture]]:
    """The page and its pictures."""
    parts = [_systems(run), _curve(run), _groups(run), _known(run), _training(run), _lists(run)]
    verdict = run.metrics["verdict"]
    text = markup.page(
        f"{run.config.get('preset', 'A model')} on {Path(str(run.config.get('data'))).name}",
        _about(run),
        verdict["sentence"],
        "poor" if verdict["at_chance"] or verdict["below"] else "good",
        [*(content for content, _ in parts), _export(run), _made_of(run)],
    )
    return text, [picture for _, pictures in parts for picture in pictures]


def _about(run: RunContent) -> Markup:
    form, metrics = run.form, run.metrics
    known = " and ".join(
        f"{share:.0%} of the {what}" for what, share in metrics.get("known", {}).items()
    )
    tasks = "" if run.tasks is None else f"{len(run.tasks):,} held-out {form.asked[0]}. "
    return markup.paragraph(
        f"{tasks}Seed {run.config.get('seed')}. Protocol: {metrics.get('protocol', 'unknown')}; "
        f"known of what is asked: {known or 'not recorded'}. Intervals are 95%, over "
        f"{form.asked[0]}.",
        kind="about",
    )


def _means(run: RunContent, metric: str) -> dict[str, float]:
    """Of the model and of its controls, where it is defined."""
    found = {OWN: run.metrics["meta_test"], **run.metrics["controls"]}
    return {name: one[metric] for name, one in found.items() if one.get(metric) is not None}


def _labels(run: RunContent) -> dict[str, str]:
    return control_labels(str(run.config.get("preset", "model")), run.form.simple)


def _intervals(run: RunContent) -> dict[str, dict[str, float | None]]:
    own = {OWN: run.metrics.get("meta_test_interval", {})}
    return own | run.metrics.get("controls_interval", {})


def _systems(run: RunContent) -> Part:
    metrics, form, labels = run.metrics, run.form, _labels(run)
    gain, halves = form.decisive, _intervals(run)
    means = _means(run, gain.metric)
    order = best_first(form, list(labels), means)
    picture = draw_dots(
        "systems",
        f"The model and its controls by {better(form)}, mean and 95% interval.",
        [
            (
                short(labels[name]),
                {"mean": Dot.of(means[name], halves.get(name, {}).get(gain.metric))},
            )
            for name in order
        ],
        better(form),
        strong=short(labels[OWN]),
    )
    differences = metrics["verdict"]["differences"]
    rows = []
    for name in order:
        of_system = metrics["meta_test"] if name == OWN else metrics["controls"][name]
        cells = [
            markup.stacked(of_system.get(one), halves.get(name, {}).get(one))
            for one in form.columns
        ]
        rows.append([labels[name], _difference(differences.get(name)), *cells])
    head = ["system", f"gain, {gain.metric}", *form.columns]
    return markup.section(
        "systems",
        "Systems side by side",
        markup.paragraph(
            "All are asked the same. The gain is paired: the model less the system, task by task, "
            "so it may be sure where the intervals of the means overlap.",
            kind="quiet",
        ),
        markup.figures(picture.on_page()),
        markup.table(head, rows, strong=labels[OWN]),
        _chosen(run),
    ), [picture]


def _difference(one: Mapping[str, float | None] | None) -> markup.Cell:
    return "" if one is None else markup.signed(one["difference"], one["interval"])


def _chosen(run: RunContent) -> Markup:
    settings = run.metrics.get("control_settings", {})
    labels = _labels(run)
    said = "; ".join(
        f"{labels.get(name, name)}: "
        + ", ".join(f"{key} {value:g}" for key, value in numbers.items())
        for name, numbers in settings.items()
    )
    return markup.paragraph(f"Chosen on other tasks: {said}.", kind="quiet") if said else Markup("")


def _curve(run: RunContent) -> Part:
    curve, form, labels = run.metrics.get("curve", {}), run.form, _labels(run)
    metric = form.decisive.metric
    if not curve:
        return Markup(""), []

    def values(name: str) -> list[float]:
        return [or_nan(systems.get(name, {}).get(metric)) for systems in curve.values()]

    drawn = [OWN, TWIN, NONE, *form.simple.in_curve, SWAPPED]
    first = next(iter(curve.values()))
    picture = draw_lines(
        "curve",
        f"{metric} by the size of the support set.",
        list(curve),
        {short(labels[name]): values(name) for name in drawn if name in first},
        ("examples in the support set", better(form)),
    )
    names = [name for name in labels if name in first]
    rows = [[labels[name], *(markup.written(value) for value in values(name))] for name in names]
    return markup.section(
        "curve",
        "By the size of the support set",
        markup.paragraph(
            "The same questions with more and more examples. Fewer tasks are asked than above, so "
            "the right end need not be the number there.",
            kind="quiet",
        ),
        markup.figures(picture.on_page()),
        markup.table([f"{metric} with", *curve], rows, strong=labels[OWN]),
    ), [picture]


def _groups(run: RunContent) -> Part:
    compared = None
    if run.tasks is not None:
        own = short(_labels(run)[OWN])
        compared = run_groups(run.form, run.tasks, list(run.metrics["meta_test"]), own)
    if compared is None:
        return Markup(""), []
    content, pictures = gains_and_losses(run.form, compared)
    return markup.section("groups", "Who gains, who loses", content), pictures


def _known(run: RunContent) -> Part:
    parts, form, labels = run.metrics.get("parts", {}), run.form, _labels(run)
    metric = form.decisive.metric
    found = [part for part in PARTS if part in parts.get(OWN, {})]
    if not found:
        return Markup(""), []
    drawn = [OWN, NONE, *form.simple.in_curve[:2]]
    picture = draw_dots(
        "known",
        "Known users and items, and those that no training has seen.",
        [
            (
                part.replace("_", " "),
                {
                    short(labels[name]): Dot.of(parts[name].get(part, {}).get(metric))
                    for name in drawn
                    if name in parts
                },
            )
            for part in found
        ],
        better(form),
    )
    rows = [
        [labels[name], *(parts[name].get(part, {}).get(metric) for part in found)]
        for name in labels
        if name in parts
    ]
    return markup.section(
        "known",
        "Known and unknown",
        shares_known(run.metrics.get("known", {})),
        markup.figures(picture.on_page()),
        markup.table(
            [metric, *(part.replace("_", " ") for part in found)], rows, strong=labels[OWN]
        ),
    ), [picture]


def _training(run: RunContent) -> Part:
    histories, pictures = run.histories, []
    watched = f"val_{run.form.watched}"
    for name, column, what in (
        ("loss", "loss", "training loss"),
        ("validation", watched, f"{run.form.watched} on validation tasks"),
        ("gradients", "gradient_norm", "norm of the gradients"),
    ):
        lines = {
            training: history[column].tolist()
            for training, history in histories.items()
            if column in history
        }
        if lines:
            epochs = max(map(len, lines.values()))
            pictures.append(
                draw_lines(
                    name,
                    f"{what[:1].upper()}{what[1:]} by epoch.",
                    [float(n) for n in range(1, epochs + 1)],
                    lines,
                    ("epoch", what),
                )
            )
    shown = [c for c in ("loss", watched) if any(c in history for history in histories.values())]
    rows = [
        [name, len(history), *(history[c].iloc[-1] if c in history else None for c in shown)]
        for name, history in histories.items()
    ]
    content = (
        markup.table(["training", "epochs", *(f"last {c}" for c in shown)], rows) if rows else ""
    )
    return markup.section(
        "training",
        "Training",
        markup.figures(*(picture.on_page() for picture in pictures)),
        content,
        markup.paragraph("Without validation tasks, all epochs are run.", kind="quiet")
        if rows and not any(watched in history for history in histories.values())
        else "",
    ), pictures


def _lists(run: RunContent) -> Part:
    lists, labels = run.metrics.get("lists", {}), _labels(run)
    if OWN not in lists:
        content = markup.paragraph(
            "Ratings of given items are predicted; no list is recommended, so there is nothing to "
            "count."
        )
        return markup.section(
            "lists", "What is recommended", content if "lists" in run.metrics else ""
        ), []
    taken = lists["taken"]
    names = [name for name in labels if name in lists]
    keys = list(lists[OWN])
    pictures = []
    said = {
        "coverage": "Share of the candidates that somebody is recommended.",
        "popularity": "How popular what is recommended is: share of the rankings it is found in.",
    }
    for what, caption in said.items():
        key = next(key for key in keys if key.startswith(f"{what}@"))
        pictures.append(
            draw_dots(
                what,
                caption,
                [(short(labels[name]), {"value": Dot.of(lists[name][key])}) for name in names],
                key,
                strong=short(labels[OWN]),
                mark=("what was taken", or_nan(taken[what])),
            )
        )
    rows = [[labels[name], *(lists[name][key] for key in keys)] for name in names]
    rows.append(["what was taken", *(taken[key.split("@")[0]] for key in keys)])
    return markup.section(
        "lists",
        "What is recommended",
        markup.paragraph(
            "Coverage: the share of the candidates that are in somebody's list. Popularity: the "
            "mean share of rankings in which a listed item is to be found; above that of what was "
            "taken, popular items are recommended too often. Novelty: how surprising a listed item "
            "is, in bits.",
            kind="quiet",
        ),
        markup.figures(*(picture.on_page() for picture in pictures)),
        markup.table(["", *keys], rows, strong=labels[OWN]),
    ), pictures


def _export(run: RunContent) -> Markup:
    metrics = run.metrics
    cost = metrics.get("export_cost")
    if not cost:
        return markup.section(
            "export", "The export", markup.paragraph("This run has exported nothing.")
        )
    latency = cost.get("latency")
    parts = [markup.paragraph(f"{cost['bytes'] / 1e6:,.1f} MB in {metrics['export']}.")]
    if latency:
        parts += [
            markup.table(
                ["signature", "median, ms", "slowest, ms"],
                [
                    [name, f"{one['median_ms']:.2f}", f"{one['slowest_ms']:.2f}"]
                    for name, one in latency.items()
                ],
            ),
            markup.paragraph(
                "Up to 20 answers to the version's first warm-up request (one task), in the "
                "process that trained, without a network. Loaded in "
                f"{cost['load_seconds']:.1f} seconds.",
                kind="quiet",
            ),
        ]
    else:
        parts.append(
            markup.paragraph("A smoke run does not measure how fast it answers.", kind="quiet")
        )
    return markup.section("export", "The export", *parts)


def _made_of(run: RunContent) -> Markup:
    metrics, environment = run.metrics, run.environment
    versions = environment.get("versions", {})
    facts: list[list[markup.Cell]] = [
        ["data", str(run.config.get("data"))],
        ["data fingerprint", run.data.get("fingerprint")],
        ["evaluation tasks", metrics.get("episodes_hash")],
        ["tasks of the curve", metrics.get("curve_hash")],
        ["git commit", environment.get("git_commit")],
        ["software", ", ".join(f"{name} {version}" for name, version in versions.items())],
        ["Python", environment.get("python")],
        ["platform", environment.get("platform")],
        ["CPUs", environment.get("cpus")],
    ]
    seconds = ", ".join(
        f"{what} {value:,.0f}" for what, value in metrics.get("seconds", {}).items()
    )
    facts.append(["seconds", seconds])
    counts: dict[str, Any] = metrics.get("counts", {})
    return markup.section(
        "made-of",
        "Data and configuration",
        markup.table(["", ""], facts, kind="facts"),
        markup.details(
            "What the data holds", markup.table(["", "count"], [[k, v] for k, v in counts.items()])
        ),
        markup.details(
            "Configuration", markup.preformatted(yaml.safe_dump(run.config, sort_keys=False))
        ),
    )
