"""A model beside its controls: all are asked the same tasks, with support sets of every size."""

from collections.abc import Mapping
from typing import Any

from cmml_tf.evaluation.altered_support import FlippedLabels, WithoutSupport
from cmml_tf.evaluation.report import FLIPPED, NONE, OWN, SWAPPED, TWIN, Asked, Report
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.evaluation.task_metrics import TaskMetrics, mean_of_draws
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.settings.base import AskedTasks, Prepared, Setting, SupportCurve, TaskData

_SWAPS = 3


def report_on(
    setting: Setting,
    model: AdaptingModel,
    twin: AdaptingModel,
    prepared: Prepared[TaskData, AskedTasks],
) -> Report:
    """Asks a model and its controls the same evaluation tasks.

    Args:
      setting: What a task is.
      model: The model.
      twin: The same, trained as long, never given a support set.
      prepared: What is asked.
    """
    form, asked = setting.form, prepared.meta_test
    simple = setting.simple_systems(prepared, tuple(form.simple.labels))
    systems = {**model_controls(setting, model, twin, prepared.scale), **simple}
    curve = prepared.curve
    return Report(
        systems=ask_all(setting, systems, asked),
        curve={} if curve is None else _curve(setting, systems, curve),
        simple=form.simple,
        chosen={name: dict(getattr(one, "settings", {})) for name, one in simple.items()},
        gains=form.gains,
        columns=form.columns,
        asked=Asked(
            setting.protocol(prepared.data),
            asked.known(),
            *form.asked,
            0 if curve is None else curve.draws,
        ),
    )


def model_controls(
    setting: Setting, model: AdaptingModel, twin: AdaptingModel | None, scale: tuple[float, float]
) -> dict[str, Scorer]:
    """The model, and its controls that are itself asked or trained otherwise."""
    own = setting.scorer(model)
    controls: dict[str, Scorer] = {
        OWN: own,
        NONE: WithoutSupport(own),
        FLIPPED: FlippedLabels(own, scale),
    }
    if twin is not None:
        controls[TWIN] = WithoutSupport(own if twin is model else setting.scorer(twin))
    return controls


def ask_all(
    setting: Setting, systems: Mapping[str, Scorer], asked: AskedTasks
) -> dict[str, TaskMetrics]:
    """Metrics of each system, and of `own` with the support sets of other tasks, if there are."""
    found = {name: setting.evaluate(scorer, asked) for name, scorer in systems.items()}
    if len(asked) > 1:
        found[SWAPPED] = _swapped(setting, systems[OWN], found[OWN], asked, range(_SWAPS))
    return found


def _swapped(
    setting: Setting, own: Scorer, metrics: TaskMetrics, asked: AskedTasks, draws: Any
) -> TaskMetrics:
    if not own.reads_support:
        return metrics
    return mean_of_draws([setting.evaluate(own, asked.swapped(draw)) for draw in draws])


def _curve(
    setting: Setting, systems: Mapping[str, Scorer], curve: SupportCurve
) -> dict[str, dict[str, TaskMetrics]]:
    """The systems by size of the support set, means over its draws."""
    nothing = curve.tasks(0, 0)
    empty = {name: setting.evaluate(scorer, nothing) for name, scorer in systems.items()}
    points = {}
    for size, examples in curve.sizes.items():
        drawn: dict[str, list[TaskMetrics]] = {name: [] for name in systems}
        swapped = []
        for draw in range(curve.draws if examples else 1):
            asked = curve.tasks(examples, draw)
            for name, scorer in systems.items():
                fixed = examples == 0 or not scorer.reads_support
                drawn[name].append(empty[name] if fixed else setting.evaluate(scorer, asked))
            if len(asked) > 1:
                swapped.append(
                    _swapped(setting, systems[OWN], drawn[OWN][-1], asked, [draw])
                    if examples
                    else empty[OWN]
                )
        points[size] = {name: mean_of_draws(one) for name, one in drawn.items()}
        if swapped:
            points[size][SWAPPED] = mean_of_draws(swapped)
    return points
