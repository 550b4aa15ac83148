"""Adaptation by gradients: many tasks in one call, and one task beside CMML's forward pass."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.made_up import random_episode, with_random_tables
from benchmarks.networks.user import movielens_columns, user_request
from benchmarks.timing import cpu_seconds
from cmml_tf.baselines.build import build_baseline
from cmml_tf.baselines.build_rating import build_rating_baseline
from cmml_tf.config import ModelConfig
from cmml_tf.config.baselines import BaselineConfig, FineTuningConfig, MeluConfig, S2MetaConfig
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.models.build import build_model
from cmml_tf.models.presets.rating import RATING_PRESETS
from cmml_tf.models.rating_model import build_rating_model
from cmml_tf.types import Support

_ROWS, _DIMENSION, _TASKS = 3000, 64, 32
_CANDIDATES = 100
_STEPS = 20
_S2META = S2MetaConfig(min_steps=_STEPS, max_steps=_STEPS)


def measure(rounds: int) -> dict[str, Any]:
    """CPU milliseconds of the process."""
    return {
        "inner_loops": {
            "s2meta, 20 steps": _together_and_alone(_S2META, rounds),
            "dcn-f, 10 steps": _together_and_alone(FineTuningConfig(), rounds),
        },
        "one_task_100_candidates": _one_task(rounds),
    }


def _together_and_alone(config: BaselineConfig, rounds: int) -> dict[str, float]:
    """Adaptation of 32 tasks in one call, and in a call for each (two of them stand for all)."""
    adapt = tf.function(_baseline(config).adapt, reduce_retracing=True)
    support = random_episode(_TASKS, 2, (_ROWS, _ROWS)).support
    alone = [tf.nest.map_structure(lambda part, n=n: part[n : n + 1], support) for n in range(2)]

    def one_by_one() -> None:
        for task in alone:
            adapt(task)

    seconds = cpu_seconds({"together": lambda: adapt(support), "alone": one_by_one}, rounds, 1)
    together, each = seconds["together"] / _TASKS, seconds["alone"] / len(alone)
    return {
        "ms_a_task_32_in_one_call": 1e3 * together,
        "ms_a_task_one_a_call": 1e3 * each,
        "ratio": each / together,
    }


def _one_task(rounds: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    cmml = build_model(ModelConfig(), _ROWS, _ROWS, _DIMENSION, _DIMENSION)
    s2meta = _baseline(_S2META)
    items, users = movielens_columns(rng)
    user_cmml = build_rating_model(RATING_PRESETS["cmml-film"].model, items[1:], users)
    melu = build_rating_baseline(replace(MeluConfig(), steps=5), items[1:], users)
    calls = {
        "cmml-film, gru": _scenario_request(cmml.encode_context, cmml.score_with_context),
        "s2meta, 20 steps": _scenario_request(s2meta.adapt, s2meta.score_adapted),
        "user setting: cmml-film, mean": user_request(user_cmml, _CANDIDATES, rng),
        "user setting: melu, 5 steps": user_request(melu, _CANDIDATES, rng),
    }
    seconds = cpu_seconds(calls, rounds, 5)
    return {name: 1e3 * value for name, value in seconds.items()}


def _baseline(config: BaselineConfig) -> AdaptingModel:
    model = build_baseline(config, _ROWS, _ROWS, _DIMENSION, _DIMENSION)
    with_random_tables(model, (_ROWS, _ROWS), _DIMENSION)
    return model


def _scenario_request(
    adapt: Callable[[Support], Any], score: Callable[[Any, tf.Tensor, tf.Tensor], tf.Tensor]
) -> Callable[[], np.ndarray]:
    support = random_episode(1, 2, (_ROWS, _ROWS)).support
    user = tf.fill([1, _CANDIDATES], 7)
    item = tf.range(_CANDIDATES)[None]
    request = tf.function(
        lambda support, user, item: score(adapt(support), user, item)
    ).get_concrete_function(support, user, item)
    return lambda: request(*support, user, item).numpy()
