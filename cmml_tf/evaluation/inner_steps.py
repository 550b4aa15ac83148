"""What a gradient-based system costs by its number of inner steps, CMML beside it (figure 2)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cmml_tf.baseline_config import BASELINES, S2MetaConfig
from cmml_tf.baselines.rating_presets import RATING_BASELINES, MeluConfig
from cmml_tf.config import EpisodeConfig
from cmml_tf.datasets.rating_tasks import RatingData
from cmml_tf.episodes.rating_episodes import evaluation_batches, rating_episodes
from cmml_tf.episodes.training_episodes import training_episodes
from cmml_tf.evaluation.adapted_scorer import model_scorer
from cmml_tf.evaluation.efficiency import median_cpu_milliseconds, peak_memory_mib
from cmml_tf.evaluation.rating_systems import build_rating_system
from cmml_tf.evaluation.scenario_parts import ScenarioParts
from cmml_tf.evaluation.scenario_systems import build_system
from cmml_tf.evaluation.systems import RATING_SYSTEMS, SCENARIO_SYSTEMS
from cmml_tf.training.optimizer import AdamL2
from cmml_tf.types import Support
from cmml_tf.user_config import RatingEpisodeConfig

INNER_STEPS = (1, 5, 10, 20)
"""Inner steps of the paper's figure 2."""

_CANDIDATES = 100
_REPEATS = 15
_TRAINING_REPEATS = 5
_RATING_TASKS = 32


class StepCost(NamedTuple):
    """Cost of an untrained system; its values do not change the work.

    Attributes:
      request_ms: CPU milliseconds to adapt to one task and score 100 pairs.
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


def measure_scenario_steps(
    name: str, steps: int | None, parts: ScenarioParts, seed: int
) -> StepCost:
    """Of a system of the scenario setting; `steps` None for one without inner steps."""
    training = SCENARIO_SYSTEMS[name].training
    config = None if steps is None else with_inner_steps(BASELINES[name], steps)
    model = build_system(name, parts, training, seed, config)
    task = parts.meta_test.episode(0)
    users = np.resize(task.users[:1], _CANDIDATES)
    items = np.resize(task.candidates, _CANDIDATES)
    episodes = training_episodes(parts.data, EpisodeConfig(tasks_per_step=1), seed)
    return _measure(model, [task.support], users, items, episodes)


def measure_rating_steps(name: str, steps: int | None, data: RatingData, seed: int) -> StepCost:
    """Of a system of the user setting; `steps` None for one without inner steps."""
    training = RATING_SYSTEMS[name].training
    config = None if steps is None else with_inner_steps(RATING_BASELINES[name].model, steps)
    model = build_rating_system(name, data, training, seed, config)
    (batch, *_) = evaluation_batches(data.meta_test, data.query)
    supports = [
        Support(*(field[n : n + 1] for field in batch.support))
        for n in range(len(batch.query_item))
    ]
    users = np.resize(batch.query_user[0, :1], _CANDIDATES)
    items = np.resize(batch.query_item, _CANDIDATES)
    config = RatingEpisodeConfig(tasks_per_step=_RATING_TASKS)
    episodes = rating_episodes(data.meta_train, data.query, config, seed)
    return _measure(model, supports, users, items, episodes)


def _measure(
    model: tf.keras.Model,
    supports: Sequence[Support],
    users: np.ndarray,
    items: np.ndarray,
    episodes: tf.data.Dataset,
) -> StepCost:
    before = peak_memory_mib()
    scorer = model_scorer(model)
    request_ms = median_cpu_milliseconds(
        lambda n: scorer.score(scorer.adapt(supports[n % len(supports)]), users, items), _REPEATS
    )
    request_mib = peak_memory_mib() - before
    model.compile(optimizer=AdamL2())
    step = tf.function(model.train_step)
    batches = list(episodes.take(_TRAINING_REPEATS))
    train_ms = median_cpu_milliseconds(lambda n: step(batches[n]), _TRAINING_REPEATS)
    return StepCost(request_ms, request_mib, train_ms, peak_memory_mib() - before)
