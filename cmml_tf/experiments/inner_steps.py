"""What a gradient-based system costs by its number of inner steps, CMML beside it (figure 2)."""

from dataclasses import replace
from typing import Any, NamedTuple

import tensorflow as tf

from cmml_tf.config.baselines import MeluConfig, S2MetaConfig
from cmml_tf.episodes.sampled_steps import sampled_steps
from cmml_tf.experiments.forms import FORMS
from cmml_tf.settings.base import Prepared, Setting
from cmml_tf.training.efficiency import median_cpu_milliseconds, peak_memory_mib
from cmml_tf.training.optimizer import AdamL2

INNER_STEPS = (1, 5, 10, 20)
"""Inner steps of the paper's figure 2."""

_REPEATS = 15
_TRAINING_REPEATS = 5


class StepCost(NamedTuple):
    """Cost of an untrained system; its values do not change the work.

    Attributes:
      request_ms: CPU milliseconds to adapt to one task and score its pairs.
      request_mib: How much that raised the peak memory of the process.
      train_ms: CPU milliseconds of a training step (1 scenario; 32 users).
      train_mib: How much request and training raised the peak memory of the process.
    """

    request_ms: float
    request_mib: float
    train_ms: float
    train_mib: float


def with_inner_steps(config: Any, steps: int) -> Any:
    """A copy of a baseline's configuration that takes exactly `steps` inner steps.

    Raises:
      ValueError: It takes no inner steps.
    """
    if isinstance(config, S2MetaConfig):
        return replace(config, min_steps=steps, max_steps=steps)
    if isinstance(config, MeluConfig):
        return replace(config, steps=steps, training_steps=steps)
    raise ValueError(f"{type(config).__name__} has no inner steps to set. Received: {steps}.")


def measure_inner_steps(
    setting: Setting, name: str, steps: int | None, prepared: Prepared, seed: int
) -> StepCost:
    """Of a system of any setting.

    Args:
      setting: What a task is.
      name: One of its systems.
      steps: Inner steps; None for a system without them.
      prepared: Of this seed.
      seed: Initial weights and training tasks.
    """
    system = FORMS[setting.form.name].systems[name]
    recipe = system.recipe(seed)
    if steps is not None:
        recipe = replace(recipe, model=with_inner_steps(system.baseline, steps))
    model = setting.build_for_training(recipe, prepared)
    requests = setting.requests(prepared, prepared.meta_test, _REPEATS)
    before = peak_memory_mib()
    scorer = setting.scorer(model)
    request_ms = median_cpu_milliseconds(
        lambda n: scorer.score(
            scorer.adapt(requests[n].support), requests[n].user, requests[n].item
        ),
        _REPEATS,
    )
    request_mib = peak_memory_mib() - before
    model.compile(optimizer=AdamL2())
    step = tf.function(model.train_step)
    episode = replace(system.episode, tasks_per_step=setting.form.measured_tasks[0])
    sample = setting.sampler(model, prepared, episode, seed)
    batches = list(sampled_steps(sample, 0).take(_TRAINING_REPEATS))
    train_ms = median_cpu_milliseconds(lambda n: step(batches[n]), _TRAINING_REPEATS)
    return StepCost(request_ms, request_mib, train_ms, peak_memory_mib() - before)
