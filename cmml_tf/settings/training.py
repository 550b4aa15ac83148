"""Training of a model of any setting, with validation and resumed where it was."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from cmml_tf.episodes.sampled_steps import sampled_steps
from cmml_tf.evaluation.altered_support import WithoutSupport
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.settings.base import AskedTasks, Prepared, Setting, TaskData
from cmml_tf.settings.systems import Recipe
from cmml_tf.training.fit import CompiledModel, TrainingResult, fit_model
from cmml_tf.types import Support


def fit(
    setting: Setting,
    model: AdaptingModel,
    prepared: Prepared[TaskData, AskedTasks],
    recipe: Recipe,
    folder: Path,
    max_minutes: float | None = None,
    verbose: int = 2,
    with_support: bool = True,
    learning_rates: Sequence[float] | None = None,
    steps_before: int = 0,
    compiled: CompiledModel | None = None,
) -> TrainingResult:
    """Trains `model` and leaves it with the weights of its best epoch; see `fit_model`.

    Args:
      setting: Says what training tasks and validation are.
      model: Of `setting.build_for_training`, or what is trained of it.
      prepared: Its validation tasks steer the training, if it has any.
      recipe: Says how tasks are drawn, and the schedule.
      folder: Checkpoints and logs; an unfinished training in it is resumed.
      max_minutes: Stops after this wall-clock time.
      verbose: Keras' progress: 0 silent, 1 a bar, 2 a line an epoch.
      with_support: False: the model is never given a support set, in training and validation; such
        a twin is the control that says what a support set is worth.
      learning_rates, steps_before, compiled: As of `fit_model`.
    """
    validate: Callable[[], dict[str, float]] | None = None
    asked = prepared.validation
    if asked is not None:
        scorer: Scorer = setting.scorer(model)
        validate = partial(
            setting.validate, scorer if with_support else WithoutSupport(scorer), asked
        )

    sample = setting.sampler(model, prepared, recipe.episode, recipe.seed)
    if not with_support:
        sample = _without_support(sample)
    return fit_model(
        model,
        lambda step: sampled_steps(sample, steps_before + step),
        validate,
        f"val_{setting.form.watched}",
        recipe.training,
        folder,
        max_minutes,
        verbose,
        learning_rates,
        steps_before,
        compiled,
    )


def _without_support(sample: Callable[[tf.Tensor], Any]) -> Callable[[tf.Tensor], Any]:
    def sample_without(step: tf.Tensor) -> Any:
        drawn = sample(step)
        tasks = tf.shape(drawn.query_label)[0]
        return drawn._replace(support=Support(*(_nothing(part, tasks) for part in drawn.support)))

    return sample_without


def _nothing(part: tf.Tensor, tasks: tf.Tensor) -> tf.Tensor:
    """Zeros for a part of a support that has nothing in it, see `empty_support`.

    They depend on nothing of what was drawn, which is therefore not computed. No more sizes of axes
    are known of them than of the part: where it has any length, the graph of a step fits both.
    """
    sizes = [tasks, *([1] if part.shape.rank > 1 else []), *part.shape[2:]]
    zeros = tf.zeros(sizes, part.dtype)
    known = zip(part.shape, zeros.shape, strict=True)
    shape = [own if declared is not None else None for declared, own in known]
    return tf.compat.v1.placeholder_with_default(zeros, shape)
