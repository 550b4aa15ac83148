"""A model beside its controls: all are asked the same tasks, with support sets of every size."""

from collections.abc import Iterable, Mapping

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
    form, asked, curve = setting.form, prepared.meta_test, prepared.curve
    simple = setting.simple_systems(prepared, tuple(form.simple.labels))
    systems = {**model_systems(setting, model, twin, prepared.scale), **simple}
    found = ask_all(setting, systems, asked)
    return Report(
        systems=found,
        curve={} if curve is None else ask_curve(setting, systems, curve, found),
        simple=form.simple,
        chosen={name: dict(getattr(one, "settings", {})) for name, one in simple.items()},
        gains=form.gains,
        columns=form.columns,
        shown=form.shown,
        asked=Asked(
            setting.protocol(prepared.data),
            asked.known(),
            *form.asked,
            0 if curve is None else curve.draws,
        ),
    )


def model_systems(
    setting: Setting, model: AdaptingModel, twin: AdaptingModel, scale: tuple[float, float]
) -> dict[str, Scorer]:
    """The model, and the controls that are itself, asked or trained otherwise.

    Args:
      setting: What a task is.
      model: The model.
      twin: Its twin; a model that reads no support is its own.
      scale: The lowest and the highest label.
    """
    own = setting.scorer(model)
    return {
        OWN: own,
        TWIN: WithoutSupport(own if twin is model else setting.scorer(twin)),
        NONE: WithoutSupport(own),
        FLIPPED: FlippedLabels(own, scale),
    }


def ask_all(
    setting: Setting, systems: Mapping[str, Scorer], asked: AskedTasks
) -> dict[str, TaskMetrics]:
    """Metrics of each system, and of the model itself with the support sets of other tasks.

    Args:
      setting: What a task is.
      systems: By name; `own` is the model.
      asked: The tasks.

    Returns:
      By name; `swapped` is the mean over several other tasks, left out where there is no other.
    """
    found = {name: setting.evaluate(scorer, asked) for name, scorer in systems.items()}
    if len(asked) > 1:
        own = systems[OWN]
        found[SWAPPED] = found[OWN]
        if own.reads_support:
            found[SWAPPED] = _swapped(setting, own, asked, range(_SWAPS))
    return found


def ask_curve(
    setting: Setting,
    systems: Mapping[str, Scorer],
    curve: SupportCurve,
    found: Mapping[str, TaskMetrics],
) -> dict[str, dict[str, TaskMetrics]]:
    """The systems by size of the support set, each the mean over its draws.

    What is wrong on purpose, `swapped` and `flipped`, is asked of the first draw alone.

    Args:
      setting: What a task is.
      systems: By name; `own` is the model.
      curve: The tasks by size.
      found: What `ask_all` gave, of these systems at least; it is not asked for again.
    """
    nothing = curve.tasks(0, 0)
    empty: dict[str, TaskMetrics] = {}
    for name, scorer in systems.items():
        # Without a support set, two controls are the model itself.
        is_own = name in (NONE, FLIPPED) and OWN in empty
        empty[name] = empty[OWN] if is_own else setting.evaluate(scorer, nothing)
    if len(nothing) > 1 and OWN in systems:
        empty[SWAPPED] = empty[OWN]
    own = systems.get(OWN)
    points = {}
    for size, examples in curve.sizes.items():
        drawn: dict[str, list[TaskMetrics]] = {name: [] for name in empty}
        for draw in range(curve.draws if examples else 0):
            asked, places = curve.tasks(examples, draw), curve.places(examples, draw)
            for name, scorer in systems.items():
                is_asked = scorer.reads_support or not curve.same_questions
                if is_asked and (draw == 0 or name != FLIPPED):
                    drawn[name].append(
                        setting.evaluate(scorer, asked)
                        if places is None
                        else found[name].take(places)
                    )
            if draw == 0 and SWAPPED in empty and own is not None and own.reads_support:
                drawn[SWAPPED].append(_swapped(setting, own, asked, [draw]))
        points[size] = {
            name: mean_of_draws(draws) if draws else empty[name] for name, draws in drawn.items()
        }
    return points


def _swapped(setting: Setting, own: Scorer, asked: AskedTasks, draws: Iterable[int]) -> TaskMetrics:
    return mean_of_draws([setting.evaluate(own, asked.swapped(draw)) for draw in draws])
