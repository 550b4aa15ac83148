"""Recall@10 in scenarios that are new to all: ours, `implicit` and two-towers of TFRS."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks.alternatives.implicit_als import ImplicitAls
from benchmarks.alternatives.two_tower import train_two_tower
from cmml_tf.baselines.simple.known_log import KnownLog
from cmml_tf.config import override
from cmml_tf.embeddings.matrix_factorisation import pretrained_embeddings
from cmml_tf.episodes.asked.evaluation_episodes import EvaluationEpisode
from cmml_tf.evaluation.ranking import CandidateScores, candidate_scores, evaluate_ranking
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.run import SettingRun, open_run
from cmml_tf.settings.scenario.form import SCENARIO
from cmml_tf.settings.scenario.parts import ScenarioParts
from cmml_tf.settings.scenario.simple_systems import rehearsal_of
from cmml_tf.training.run_folder import MODEL

METRIC = "recall@10"
SPLITS = {
    "strict": {"protocol": "strict"},
    # What presets differ in, the users of whom nothing is trained on, decides here who is asked.
    "warm": {"protocol": "warm"},
}
"""By protocol."""
RETRAINED = "two_tower, retrained"
DIMENSION = 64
_EPOCHS = 10
_PENALTIES, _CONFIDENCES = (0.01, 0.1, 1.0, 10.0, 100.0), (1.0, 10.0)

Pairs = tuple[np.ndarray, np.ndarray]


class Reached(NamedTuple):
    """What a system reached.

    Attributes:
      recall: The mean Recall@10 over all rankings of the meta-test scenarios.
      training_cpu_seconds: From the data to a system that can be asked, the choice of its numbers
        left out.
    """

    recall: float
    training_cpu_seconds: float


def measure(data: str, protocol: str, presets: Sequence[str], folder: Path) -> dict[str, Reached]:
    """By system, all asked the same episodes.

    Each preset is trained as `cmml train scenario` does. The others know every pair that training
    may know. The penalty and the confidence of `implicit` are those that are best where none of
    these scenarios is asked (`rehearsal_of`). `two_tower, retrained` has learned from the support
    of every scenario that is asked, too, which takes a training and not a request.

    Args:
      data: Of the scenario setting.
      protocol: One of `SPLITS`, which says what may be known of the asked scenarios.
      presets: Ours.
      folder: For the runs.
    """
    runs = {preset: _opened(data, protocol, preset, folder / preset) for preset in presets}
    first = runs[presets[0]]
    asked = first.prepared.meta_test
    for preset, run in runs.items():
        if run.prepared.meta_test.fingerprint() != asked.fingerprint():
            raise ValueError(f"{preset} is asked other episodes than {presets[0]}.")
    ways: dict[str, Callable[[], CandidateScores]] = {
        preset: partial(_trained, run) for preset, run in runs.items()
    }
    parts = _parts(first)
    known = parts.data.training_pairs()
    ways["two_tower"] = lambda: _two_tower(first, known)
    ways[RETRAINED] = lambda: _two_tower(first, _with_supports(first, known))
    log = KnownLog.of(*known, *parts.known_embeddings)
    chosen = rehearsal_of(parts, log).best(lambda part: [one(part) for one in _als()])
    ways["implicit_als"] = lambda: candidate_scores(_als()[chosen](log))
    found = {}
    for name, way in ways.items():
        begin = time.process_time()
        scores_of = way()
        seconds = time.process_time() - begin
        found[name] = Reached(evaluate_ranking(scores_of, asked).means()[METRIC], seconds)
    return found


def _opened(data: str, protocol: str, preset: str, folder: Path) -> SettingRun:
    config = SCENARIO.options.base(preset, None)
    config = override(config, {"data": data, "split": SPLITS[protocol]})
    return open_run(SETTINGS["scenario"], replace(config, run_dir=str(folder)), lambda line: None)


def _parts(run: SettingRun) -> ScenarioParts:
    """What a run is prepared with, whose setting is that of scenarios."""
    parts = run.prepared
    if not isinstance(parts, ScenarioParts):
        raise TypeError(f"`run` must be of scenarios. Received: {type(parts).__name__}.")
    return parts


def _trained(run: SettingRun) -> CandidateScores:
    model = run.train(MODEL, tf.distribute.get_strategy(), None, 0, lambda line: None).model
    return candidate_scores(run.setting.scorer(model))


def _two_tower(run: SettingRun, pairs: Pairs) -> CandidateScores:
    seed = run.config.seed
    data = replace(_parts(run).data, background_users=pairs[0], background_items=pairs[1])
    embeddings = pretrained_embeddings(data, run.config.embedding, seed)
    model = train_two_tower(pairs, embeddings, DIMENSION, _EPOCHS, seed)

    def scores_of(episode: EvaluationEpisode) -> np.ndarray:
        users = model.user_tower(episode.users)
        return tf.matmul(users, model.item_tower(episode.candidates), transpose_b=True).numpy()

    return scores_of


def _with_supports(run: SettingRun, pairs: Pairs) -> Pairs:
    asked = _parts(run).meta_test
    positive = asked.support_label > 0.5
    supports = asked.support_user[positive], asked.support_item[positive]
    users, items = (np.concatenate(both) for both in zip(pairs, supports, strict=True))
    distinct = np.unique(np.stack([users, items]), axis=1)
    return distinct[0], distinct[1]


def _als() -> list[Callable[[KnownLog], ImplicitAls]]:
    """A way for each choice of its numbers."""

    def way(penalty: float, alpha: float) -> Callable[[KnownLog], ImplicitAls]:
        return lambda log: ImplicitAls.fitted(log.taken, DIMENSION, penalty, alpha)

    return [way(penalty, alpha) for penalty in _PENALTIES for alpha in _CONFIDENCES]
