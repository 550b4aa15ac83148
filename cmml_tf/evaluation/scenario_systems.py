"""Training and evaluation of one system of the scenario setting, whichever it is."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from cmml_tf.baseline_config import BASELINES, BaselineConfig
from cmml_tf.baselines.build import build_baseline
from cmml_tf.baselines.conet import CoNet
from cmml_tf.baselines.item_pop import item_popularity_scores
from cmml_tf.config import EpisodeConfig, ModelConfig, RankingLoss, TrainingConfig
from cmml_tf.episodes.cross_domain import cross_domain_sampler, source_item_of_users
from cmml_tf.episodes.evaluation_episodes import EvaluationEpisodes
from cmml_tf.evaluation.adapted_scorer import model_scorer
from cmml_tf.evaluation.comparison_cell import CellResult
from cmml_tf.evaluation.comparison_config import ComparisonConfig
from cmml_tf.evaluation.efficiency import Cost, median_cpu_milliseconds, peak_memory_mib
from cmml_tf.evaluation.measured_training import measured_training
from cmml_tf.evaluation.ranking_protocol import (
    AdaptingScorer,
    RankingEvaluation,
    Scorer,
    evaluate_ranking,
)
from cmml_tf.evaluation.scenario_parts import ScenarioParts
from cmml_tf.evaluation.systems import SCENARIO_SYSTEMS, within_steps
from cmml_tf.models.build import build_model
from cmml_tf.models.cmml import CMML
from cmml_tf.models.presets import MODEL_PRESETS
from cmml_tf.tasks.scenario import ranking_task
from cmml_tf.training.fit import TrainingResult, episode_sampler, fit_scenario_model

VALIDATION_METRICS = ("recall@10", "recall@20", "ndcg@10")
_TIMED_TASKS = 20
_TIMED_CANDIDATES = 100


def build_cmml(
    config: ModelConfig,
    parts: ScenarioParts,
    training: TrainingConfig,
    seed: int,
    loss: RankingLoss = "hinge",
) -> CMML:
    """A CMML of these users and items, with its initial weights fixed by the seed."""
    return _with_tables(partial(build_model, seed=seed), config, parts, training, seed, loss)


def build_system(
    name: str,
    parts: ScenarioParts,
    training: TrainingConfig,
    seed: int,
    config: BaselineConfig | None = None,
) -> tf.keras.Model:
    """The model of a system that is trained, with its initial weights fixed by the seed.

    `config` stands in for a baseline's own.
    """
    loss = SCENARIO_SYSTEMS[name].loss
    if name in MODEL_PRESETS:
        return build_cmml(MODEL_PRESETS[name], parts, training, seed, loss)
    model = _with_tables(build_baseline, config or BASELINES[name], parts, training, seed, loss)
    if isinstance(model, CoNet):
        model.set_source_items(source_item_of_users(parts.data, seed))
    return model


def _with_tables(
    build: Callable[..., tf.keras.Model],
    config: Any,
    parts: ScenarioParts,
    training: TrainingConfig,
    seed: int,
    loss: RankingLoss,
) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(seed)
    model = build(
        config,
        users=len(parts.data.user_ids),
        items=len(parts.data.item_ids),
        user_dimension=parts.user_embeddings.shape[1],
        item_dimension=parts.item_embeddings.shape[1],
        trainable_tables=training.train_embeddings,
        task=ranking_task(loss),
        gradient_clip=training.gradient_clip,
    )
    model.pair_embedding.set_tables(parts.user_embeddings, parts.item_embeddings)
    return model


def fit_scenario_system(
    model: tf.keras.Model,
    parts: ScenarioParts,
    episode: EpisodeConfig,
    training: TrainingConfig,
    seed: int,
    folder: Path,
    max_minutes: float | None = None,
    verbose: int = 2,
) -> TrainingResult:
    """Trains with validation on the parts' validation scenarios; resumes what is in `folder`."""
    validate = None
    if parts.validation is not None:
        scorer = model_scorer(model)

        def validate() -> dict[str, float]:
            means = evaluate_ranking(scorer, parts.validation).means()
            return {name: means[name] for name in VALIDATION_METRICS}

    return fit_scenario_model(
        model,
        parts.data,
        validate,
        episode,
        training,
        seed,
        folder,
        max_minutes,
        verbose,
        cross_domain_sampler if isinstance(model, CoNet) else episode_sampler,
    )


def run_scenario_system(
    name: str, parts: ScenarioParts, config: ComparisonConfig, seed: int, folder: Path
) -> CellResult:
    """Trains a system (or finishes, or finds its training) and asks it the meta-test scenarios.

    Args:
      name: One of `SCENARIO_SYSTEMS`.
      parts: Of this seed.
      config: Steps at the most.
      seed: Initial weights and training tasks.
      folder: Trainings of this seed, one folder a system.
    """
    system = SCENARIO_SYSTEMS[name]
    before = peak_memory_mib()
    if system.training is None:
        return _evaluated(item_popularity_scores, parts.meta_test, Cost(memory_before_mib=before))
    trained_as = system.trained_as or name
    training = within_steps(system.training, config.steps)
    episode = EpisodeConfig(
        tasks_per_step=config.tasks_per_step or system.tasks_per_step,
        query_positives=system.query_positives,
    )
    model = build_system(name, parts, training, seed)
    # DCN-F is a trained DCN that adapts: what is trained is the DCN in it.
    trained = model.dcn if trained_as != name else model
    cost = measured_training(
        folder / trained_as,
        lambda: fit_scenario_system(trained, parts, episode, training, seed, folder / trained_as),
        training.steps_per_epoch,
    )
    return _evaluated(model_scorer(model), parts.meta_test, cost._replace(memory_before_mib=before))


def _evaluated(scorer: Scorer, episodes: EvaluationEpisodes, cost: Cost) -> CellResult:
    own = evaluate_ranking(scorer, episodes)
    swapped = evaluate_ranking(scorer, episodes.swapped()) if len(episodes) > 1 else None
    if isinstance(scorer, AdaptingScorer):
        cost = _timed(scorer, episodes, cost)
    peak = max(peak_memory_mib(), cost.peak_memory_mib or 0.0)
    return CellResult(
        pd.concat([_by_task(own, "own"), _by_task(swapped, "swapped")], ignore_index=True),
        own.means(),
        {} if swapped is None else swapped.means(),
        cost._replace(peak_memory_mib=peak),
        episodes.fingerprint(),
    )


def _timed(scorer: AdaptingScorer, episodes: EvaluationEpisodes, cost: Cost) -> Cost:
    tasks = [episodes.episode(place % len(episodes)) for place in range(_TIMED_TASKS)]
    adapt = median_cpu_milliseconds(lambda n: scorer.adapt(tasks[n].support), _TIMED_TASKS)
    adapted = scorer.adapt(tasks[0].support)
    items = np.resize(tasks[0].candidates, _TIMED_CANDIDATES)
    users = np.resize(tasks[0].users[:1], _TIMED_CANDIDATES)
    score = median_cpu_milliseconds(lambda n: scorer.score(adapted, users, items), _TIMED_TASKS)
    return cost._replace(adapt_ms=adapt, score_ms=score)


def _by_task(evaluation: RankingEvaluation | None, support: str) -> pd.DataFrame:
    if evaluation is None:
        return pd.DataFrame()
    table = evaluation.scenario_table().rename(columns={"name": "task", "users": "rows"})
    table.insert(1, "support", support)
    return table
