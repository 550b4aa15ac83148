"""One cell of a comparison: a system of any setting trained and asked with one seed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.evaluation.report import FLIPPED, OWN
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.evaluation.task_metrics import TaskMetrics
from cmml_tf.experiments.comparison_cell import CellResult
from cmml_tf.experiments.forms import FORMS
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.settings.base import Prepared, Setting, TaskData
from cmml_tf.settings.judging import ask_all, ask_curve, model_systems
from cmml_tf.settings.scenario.parts import open_hybrid
from cmml_tf.settings.systems import for_tasks, within_steps
from cmml_tf.settings.training import fit
from cmml_tf.training.efficiency import Cost, median_cpu_milliseconds, peak_memory_mib
from cmml_tf.training.fit import TrainingResult
from cmml_tf.training.measured_training import measured_training

_REQUESTS = 20


def open_data(setting: Setting, config: ComparisonConfig, seed: int) -> TaskData:
    """The data of a comparison; with `hybrid_with` the scenarios of both data sets."""
    if config.hybrid_with is not None:
        return open_hybrid(config, seed)
    return setting.open(config, seed)


def run_system(
    setting: Setting,
    name: str,
    prepared: Prepared,
    config: ComparisonConfig,
    seed: int,
    folder: Path,
) -> CellResult:
    """Trains a system (or finishes, or finds its training) and asks it the meta-test tasks.

    Args:
      setting: What a task is.
      name: One of its systems.
      prepared: Of this seed.
      config: Steps at the most.
      seed: Initial weights and training tasks.
      folder: Trainings of this seed, one folder a system.
    """
    system = FORMS[setting.form.name].systems[name]
    before = peak_memory_mib()
    if system.training is None:
        simple = name.replace("-", "_")
        scorer = setting.simple_systems(prepared, [simple])[simple]
        return _evaluated(setting, {OWN: scorer}, prepared, Cost(memory_before_mib=before))
    training = for_tasks(system.training, len(setting.learned_tasks(prepared.data)))
    training = within_steps(training, config.steps)
    tasks = config.tasks_per_step or system.episode.tasks_per_step
    episode = replace(system.episode, tasks_per_step=tasks)
    recipe = replace(system.recipe(seed), episode=episode, training=training)

    def train(model: AdaptingModel, place: Path, with_support: bool = True) -> TrainingResult:
        return fit(setting, model, prepared, recipe, place, with_support=with_support)

    model = setting.build_for_training(recipe, prepared)
    trained_as = system.trained_as or name
    # DCN-F is a trained DCN that adapts: what is trained is the DCN in it.
    trained = model.dcn if trained_as != name else model
    place = folder / trained_as
    cost = measured_training(place, lambda: train(trained, place), training.steps_per_epoch)
    cost = cost._replace(memory_before_mib=before)
    cost = _timed(setting, setting.scorer(model), prepared, cost)
    twin = model
    if trained.reads_support:
        twin = setting.build_for_training(recipe, prepared)
        train(twin, folder / f"{name}.twin", with_support=False)
    systems = model_systems(setting, model, twin, prepared.scale)
    return _evaluated(setting, systems, prepared, cost)


def _evaluated(
    setting: Setting, systems: Mapping[str, Scorer], prepared: Prepared, cost: Cost
) -> CellResult:
    asked, curve = prepared.meta_test, prepared.curve
    found = ask_all(setting, systems, asked)
    # What is wrong on purpose tells little by size.
    of_size = {name: scorer for name, scorer in systems.items() if name != FLIPPED}
    points = {} if curve is None else ask_curve(setting, of_size, curve, found)
    peak = max(peak_memory_mib(), cost.peak_memory_mib or 0.0)
    return CellResult(
        pd.concat(
            [_by_task(one, name, setting.form.decisive.metric) for name, one in found.items()],
            ignore_index=True,
        ),
        {name: one.means() for name, one in found.items()},
        {
            size: {name: one.means() for name, one in at_size.items()}
            for size, at_size in points.items()
        },
        cost._replace(peak_memory_mib=peak),
        asked.fingerprint(),
        asked.known(),
    )


def _timed(setting: Setting, scorer: Scorer, prepared: Prepared, cost: Cost) -> Cost:
    requests = setting.requests(prepared, prepared.meta_test, _REQUESTS)
    adapted = scorer.adapt(requests[0].support)
    user, item = requests[0].user, requests[0].item
    return cost._replace(
        adapt_ms=median_cpu_milliseconds(lambda n: scorer.adapt(requests[n].support), _REQUESTS),
        score_ms=median_cpu_milliseconds(lambda n: scorer.score(adapted, user, item), _REQUESTS),
    )


def _by_task(metrics: TaskMetrics, support: str, decisive: str) -> pd.DataFrame:
    table = metrics.table().rename(columns={"name": "task", "users": "rows"})
    table = table.join(metrics.parts_table(decisive))
    table.insert(1, "support", support)
    return table
