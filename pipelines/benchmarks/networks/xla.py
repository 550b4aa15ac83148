"""What XLA gains and costs: the forward pass, and a training step."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import tensorflow as tf

from benchmarks.made_up import SUPPORT, made_up_model, random_episode
from benchmarks.served.exports import DIMENSION, ITEMS, QUERY, USERS
from benchmarks.timing import cpu_seconds
from cmml_tf.experiments.forms import model_preset
from cmml_tf.models.cmml import CMML
from cmml_tf.training.optimizer import AdamL2
from cmml_tf.types import Support

NETWORKS = ("cmml-film", "cmml-soft-m", "cmml-film-plus")
CLOSED_FORM = ("cmml-ridge", "cmml-film-ridge")
TASKS_A_STEP = 4
_CALLS, _STEPS = 10, 3
_HOW: dict[str, dict[str, Any]] = {"plain": {}, "xla": {"jit_compile": True}}


def measure(rounds: int) -> dict[str, Any]:
    """CPU milliseconds on one thread with and without XLA, and the ratios."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return {
        "size": {"B": 1, "S": SUPPORT, "Q": QUERY},
        "forward": {preset: _forward(preset, rounds) for preset in (*NETWORKS, *CLOSED_FORM)},
        "tasks_a_step": TASKS_A_STEP,
        "training": {preset: _training(preset, rounds) for preset in NETWORKS},
    }


def model_of(preset: str) -> CMML:
    """With first weights and random tables."""
    return made_up_model(model_preset(preset), (USERS, ITEMS), DIMENSION)


def _forward(preset: str, rounds: int) -> dict[str, Any]:
    model, episode = model_of(preset), random_episode(1, QUERY, (USERS, ITEMS))
    calls: dict[str, Callable[[], object]] = {}
    for how, options in _HOW.items():
        encode = tf.function(lambda *s: model.encode_context(Support(*s)), **options)
        score = tf.function(model.score_with_context, **options)
        context = encode(*episode.support)
        query = context, episode.query_user, episode.query_item
        calls[f"encode, {how}"] = partial(encode, *episode.support)
        calls[f"score, {how}"] = partial(score, *query)
    return _compared(cpu_seconds(calls, rounds, _CALLS))


def _training(preset: str, rounds: int) -> dict[str, Any]:
    episode, calls = random_episode(TASKS_A_STEP, 256, (USERS, ITEMS)), {}
    for how, options in _HOW.items():
        model = model_of(preset)
        model.compile(optimizer=AdamL2(1e-3), **options)
        step = tf.function(model.train_step, **options)
        calls[f"step, {how}"] = lambda step=step: step(episode)
    return _compared(cpu_seconds(calls, rounds, _STEPS))


def _compared(seconds: Mapping[str, float]) -> dict[str, Any]:
    whats = dict.fromkeys(name.rsplit(", ", 1)[0] for name in seconds)
    return {
        what: {
            **{f"{how}_cpu_ms": 1e3 * seconds[f"{what}, {how}"] for how in _HOW},
            "ratio": seconds[f"{what}, xla"] / seconds[f"{what}, plain"],
        }
        for what in whats
    }
