"""Training and evaluation of one system of the user setting, whichever it is."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from cmml_tf.baselines.build_rating import build_rating_baseline
from cmml_tf.baselines.rating_means import (
    ItemMeans,
    global_mean,
    item_mean_and_user_bias,
    item_means,
    user_mean,
)
from cmml_tf.baselines.rating_presets import RATING_BASELINES, RatingBaselineConfig
from cmml_tf.config import TrainingConfig
from cmml_tf.datasets.rating_tasks import RatingData
from cmml_tf.datasets.reading.ids import as_text
from cmml_tf.episodes.rating_episodes import RatingEpisodeSampler, evaluation_batches
from cmml_tf.episodes.sampled_steps import sampled_steps
from cmml_tf.evaluation.adapted_scorer import model_scorer
from cmml_tf.evaluation.comparison_cell import CellResult
from cmml_tf.evaluation.comparison_config import ComparisonConfig
from cmml_tf.evaluation.efficiency import Cost, median_cpu_milliseconds, peak_memory_mib
from cmml_tf.evaluation.measured_training import measured_training
from cmml_tf.evaluation.ranking_protocol import AdaptingScorer
from cmml_tf.evaluation.rating_protocol import (
    Predictor,
    RatingEvaluation,
    RatingPredictor,
    evaluate_ratings,
    swapped,
)
from cmml_tf.evaluation.systems import RATING_SYSTEMS, within_steps
from cmml_tf.models.cmml import CMML
from cmml_tf.models.rating_model import build_rating_model
from cmml_tf.models.rating_presets import RATING_PRESETS
from cmml_tf.tasks.rating import RatingTask
from cmml_tf.training.fit import TrainingResult, fit_model
from cmml_tf.training.rating_start import set_first_weights
from cmml_tf.types import Episode, Support
from cmml_tf.user_config import RatingEpisodeConfig, RatingModelConfig

WATCHED = "val_negative_mae"
"""Validation metric that early stopping and the choice of the epoch look at."""

_MEANS = {
    "global-mean": global_mean,
    "user-mean": user_mean,
    "item-mean": item_mean_and_user_bias,
}
_TIMED_TASKS = 20


def build_rating_cmml(
    config: RatingModelConfig,
    data: RatingData,
    episode: RatingEpisodeConfig,
    training: TrainingConfig,
    seed: int,
) -> CMML:
    """A CMML of these users and items with its first weights, fixed by the seed."""
    tf.keras.utils.set_random_seed(seed)
    is_read = [column.feature.kind != "id" or config.ridge for column in data.item_columns]
    columns = [column for column, read in zip(data.item_columns, is_read, strict=True) if read]
    model = build_rating_model(
        config,
        columns,
        data.user_columns,
        users=len(data.user_ids),
        task=RatingTask(episode.loss),
        gradient_clip=training.gradient_clip,
    )
    set_first_weights(model, data, config, seed)
    return model


def build_rating_system(
    name: str,
    data: RatingData,
    training: TrainingConfig,
    seed: int,
    config: RatingBaselineConfig | None = None,
) -> tf.keras.Model:
    """The model of a system that is trained, with its first weights fixed by the seed.

    `config` stands in for a baseline's own.
    """
    if name in RATING_PRESETS:
        preset = RATING_PRESETS[name]
        return build_rating_cmml(preset.model, data, preset.episode, training, seed)
    baseline = RATING_BASELINES[name]
    tf.keras.utils.set_random_seed(seed)
    return build_rating_baseline(
        config or baseline.model,
        [column for column in data.item_columns if column.feature.kind != "id"],
        data.user_columns,
        users=len(data.user_ids),
        task=RatingTask(baseline.episode.loss),
        gradient_clip=training.gradient_clip,
        first_rating=float(data.meta_train.rating.mean()),
    )


def fit_rating_system(
    model: tf.keras.Model,
    data: RatingData,
    episode: RatingEpisodeConfig,
    training: TrainingConfig,
    seed: int,
    folder: Path,
    max_minutes: float | None = None,
    verbose: int = 2,
) -> TrainingResult:
    """Trains with validation on the data's validation users; resumes what is in `folder`."""
    validate = None
    if len(data.validation):
        predictor = RatingPredictor(model)
        asked = evaluation_batches(data.validation, data.query)

        def validate() -> dict[str, float]:
            means = evaluate_ratings(predictor, asked).means()
            return {**means, "negative_mae": -means["mae"]}

    sampler = RatingEpisodeSampler(data.meta_train, data.query, episode, seed)
    return fit_model(
        model,
        lambda step: sampled_steps(sampler.sample, step),
        validate,
        WATCHED,
        training,
        folder,
        max_minutes,
        verbose,
    )


def run_rating_system(
    name: str, data: RatingData, config: ComparisonConfig, seed: int, folder: Path
) -> CellResult:
    """Trains a system (or finishes, or finds its training) and asks it the meta-test users.

    Args:
      name: One of `RATING_SYSTEMS`.
      data: Of this seed.
      config: Steps at the most.
      seed: Initial weights and training tasks.
      folder: Trainings of this seed, one folder a system.
    """
    system = RATING_SYSTEMS[name]
    before = peak_memory_mib()
    if system.training is None:
        means = item_means(data.meta_train, len(data.item_ids))
        return _evaluated(_mean_predictor(name, means), None, data, Cost(memory_before_mib=before))
    trained_as = system.trained_as or name
    preset = RATING_PRESETS.get(name) or RATING_BASELINES[name]
    training = within_steps(system.training, config.steps)
    episode = replace(preset.episode, tasks_per_step=config.tasks_per_step or system.tasks_per_step)
    model = build_rating_system(name, data, training, seed)
    # DCN-F is a trained DCN that adapts: what is trained is the DCN in it.
    trained = model.dcn if trained_as != name else model
    cost = measured_training(
        folder / trained_as,
        lambda: fit_rating_system(trained, data, episode, training, seed, folder / trained_as),
        training.steps_per_epoch,
    )
    cost = cost._replace(memory_before_mib=before)
    return _evaluated(RatingPredictor(model), model_scorer(model), data, cost)


def _mean_predictor(name: str, means: ItemMeans) -> Predictor:
    return lambda episode: _MEANS[name](means, episode)


def _evaluated(
    predictor: Predictor, scorer: AdaptingScorer | None, data: RatingData, cost: Cost
) -> CellResult:
    episodes = evaluation_batches(data.meta_test, data.query)
    own = evaluate_ratings(predictor, episodes)
    others = evaluate_ratings(predictor, swapped(episodes)) if len(data.meta_test) > 1 else None
    if scorer is not None:
        cost = _timed(scorer, episodes, cost)
    users = data.user_ids[data.meta_test.user]
    return CellResult(
        pd.concat(
            [_by_task(own, users, "own"), _by_task(others, users, "swapped")], ignore_index=True
        ),
        own.means(),
        {} if others is None else others.means(),
        cost._replace(peak_memory_mib=max(peak_memory_mib(), cost.peak_memory_mib or 0.0)),
        _fingerprint(episodes),
    )


def _timed(scorer: AdaptingScorer, episodes: Sequence[Episode], cost: Cost) -> Cost:
    episode = episodes[0]
    tasks = np.arange(_TIMED_TASKS) % len(episode.query_item)
    supports = [Support(*(field[t : t + 1] for field in episode.support)) for t in tasks]
    adapted = scorer.adapt(supports[0])
    user, item = episode.query_user[0], episode.query_item[0]
    return cost._replace(
        adapt_ms=median_cpu_milliseconds(lambda n: scorer.adapt(supports[n]), _TIMED_TASKS),
        score_ms=median_cpu_milliseconds(lambda n: scorer.score(adapted, user, item), _TIMED_TASKS),
    )


def _by_task(evaluation: RatingEvaluation | None, users: np.ndarray, support: str) -> pd.DataFrame:
    if evaluation is None:
        return pd.DataFrame()
    return pd.DataFrame({"task": as_text(users), "support": support, "rows": 1} | evaluation.rows)


def _fingerprint(episodes: Sequence[Episode]) -> str:
    digest = hashlib.sha256()
    for episode in episodes:
        for array in tf.nest.flatten(episode):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
