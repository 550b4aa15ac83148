"""Training of a model of any setting, with validation and resumed where it was."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cmml_tf.config import TrainingConfig
from cmml_tf.episodes.sampled_steps import sampled_steps
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.settings.base import AskedTasks, Prepared, Setting, TaskData
from cmml_tf.training.fit import TrainingResult, fit_model


def fit(
    setting: Setting,
    model: AdaptingModel,
    prepared: Prepared[TaskData, AskedTasks],
    episode: Any,
    training: TrainingConfig,
    seed: int,
    folder: Path,
    max_minutes: float | None = None,
    verbose: int = 2,
) -> TrainingResult:
    """Trains `model` and leaves it with the weights of its best epoch; see `fit_model`.

    Args:
      setting: Says what training tasks and validation are.
      model: Of `setting.build` or `setting.build_system`.
      prepared: Its validation tasks steer the training, if it has any.
      episode, training: Sizes of tasks and steps; optimiser, schedule, stopping rule.
      seed: With the step number, fixes the tasks.
      folder: Checkpoints and logs; an unfinished training in it is resumed.
      max_minutes: Stops after this wall-clock time.
      verbose: Keras' progress: 0 silent, 1 a bar, 2 a line an epoch.
    """
    validate: Callable[[], dict[str, float]] | None = None
    asked = prepared.validation
    if asked is not None:
        validate = partial(setting.validate, setting.scorer(model), asked)

    sample = setting.sampler(model, prepared, episode, seed)
    return fit_model(
        model,
        lambda step: sampled_steps(sample, step),
        validate,
        f"val_{setting.form.watched}",
        training,
        folder,
        max_minutes,
        verbose,
    )
