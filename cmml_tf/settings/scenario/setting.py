"""The scenario setting: tasks are scenarios, the query is every item of one, for unseen users."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.baselines.build import build_baseline
from cmml_tf.baselines.conet import CoNet
from cmml_tf.config import EpisodeConfig, ModelConfig, ScenarioRunConfig
from cmml_tf.datasets.check_source import FeatureSource
from cmml_tf.datasets.open_data import open_scenario_data, open_scenario_log
from cmml_tf.datasets.open_features import described
from cmml_tf.datasets.tasks.earlier import Earlier
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.episodes.asked.evaluation_episodes import EvaluationEpisodes, Known
from cmml_tf.episodes.asked.scenario_curve import ScenarioCurve
from cmml_tf.episodes.cross_domain import cross_domain_sampler, source_item_of_users
from cmml_tf.episodes.sampler import EpisodeSampler
from cmml_tf.evaluation.matching_scorer import MatchingScorer
from cmml_tf.evaluation.ranking import candidate_scores, evaluate_ranking, scored_candidates
from cmml_tf.evaluation.scorer import ModelScorer, Scorer
from cmml_tf.evaluation.task_metrics import TaskMetrics
from cmml_tf.hashed_ids import read_user_id_key
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.models.build import build_model
from cmml_tf.models.build_matching import build_matching
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.serving.catalogue.membership import Membership
from cmml_tf.settings.base import Request, Served, Setting
from cmml_tf.settings.scenario.form import SCENARIO
from cmml_tf.settings.scenario.matching_tables import matching_sampler
from cmml_tf.settings.scenario.parts import ScenarioParts, scenario_parts
from cmml_tf.settings.scenario.served_matching import membership_of, served_matching
from cmml_tf.settings.scenario.simple_systems import simple_scenario_systems
from cmml_tf.settings.systems import Recipe
from cmml_tf.tasks.scenario import ranking_task
from cmml_tf.types import AreNew

_VALIDATION_METRICS = ("recall@10", "recall@20", "ndcg@10")
_CANDIDATES = 100


class ScenarioSetting(Setting[ScenarioData, EvaluationEpisodes, ScenarioParts]):
    """Rank all items of unseen scenarios (paper section 4.1)."""

    form = SCENARIO
    continues = refits = True

    def open(
        self,
        config: ScenarioRunConfig,
        seed: int,
        earlier: Earlier | None = None,
        whole: bool = False,
    ) -> ScenarioData:
        """See `open_scenario_data`."""
        return open_scenario_data(
            config.data,
            config.scenario,
            config.split,
            seed,
            read=config.read,
            features=FeatureSource(config.items, config.users, config.kinds),
            whole=whole,
            earlier=earlier,
        )

    def state(self, data: ScenarioData) -> Earlier:
        """Scenarios are named; features as they are described."""
        sides = (("item", data.item_features), ("user", data.user_features))
        features = [f"{side} {one.name} ({one.kind})" for side, columns in sides for one in columns]
        names = [one.name for one in data.meta_train]
        return Earlier(
            data.user_ids, data.item_ids, np.array(names, object), np.array(features, object)
        )

    def open_log(
        self, config: ScenarioRunConfig, seed: int, are_new: AreNew | None = None
    ) -> ScenarioData:
        """All scenarios are asked; see `open_scenario_log`."""
        return open_scenario_log(
            config.data, config.scenario, config.split, seed, config.read, are_new
        )

    def learned_tasks(self, data: ScenarioData) -> Sequence[str]:
        """Scenarios that are trained on or steer training."""
        return [one.name for one in data.meta_train] + [one.name for one in data.validation]

    def learned(self, data: ScenarioData) -> dict[str, int]:
        """Scenarios and distinct pairs."""
        return {"scenarios": len(data.meta_train), "pairs": len(data.training_pairs()[0])}

    def describe(self, data: ScenarioData) -> Sequence[str]:
        """The protocol, what is known of what is asked, and features of items and users."""
        sides = (("item", data.item_features), ("user", data.user_features))
        features = [f"{side} features: {described(columns)}" for side, columns in sides if columns]
        return [*data.described(), *features]

    def check(self, data: ScenarioData, config: ScenarioRunConfig) -> dict[str, int]:
        """Pairs without a negative are left out; a scenario that cannot be sampled is refused."""
        left_out = EpisodeSampler(data, config.episode, config.seed).pairs_without_negative
        return {"pairs whose user took every item, left out": left_out} if left_out else {}

    def prepare(
        self, data: ScenarioData, folder: Path, config: ScenarioRunConfig, seed: int
    ) -> ScenarioParts:
        """Fits the embeddings and draws the evaluation episodes, or finds both in `folder`."""
        return scenario_parts(data, folder, config, seed)

    def build(self, recipe: Recipe, prepared: ScenarioParts) -> AdaptingModel:
        """A CMML of these users and items, or a baseline."""
        model = recipe.model
        if not isinstance(model, ModelConfig):
            built = _with_tables(build_baseline, recipe, prepared)
            if isinstance(built, CoNet):
                built.set_source_items(source_item_of_users(prepared.data, recipe.seed))
            return built
        if model.encoder == "matching":
            rows = prepared.matching.rows
            return _matching(recipe, prepared, rows.user, rows.item)
        return _with_tables(partial(build_model, seed=recipe.seed), recipe, prepared)

    def build_for_training(self, recipe: Recipe, prepared: ScenarioParts) -> AdaptingModel:
        """Where ids are matched, with the rows of each training scenario as well."""
        if getattr(recipe.model, "encoder", None) != "matching":
            return self.build(recipe, prepared)
        rows = prepared.matching.training
        model = _matching(recipe, prepared, rows.user_rows, rows.item_rows)
        model.matching.scenario_taste.begin(prepared.matching.tastes.variances)
        return model

    def sampler(
        self, model: AdaptingModel, prepared: ScenarioParts, episode: EpisodeConfig, seed: int
    ) -> Callable[[tf.Tensor], Any]:
        """Scenarios, and for CoNet each query user's items elsewhere."""
        if isinstance(model, CoNet):
            return cross_domain_sampler(prepared.data, episode, seed)
        if model.by_key:
            return matching_sampler(prepared.matching.training, episode, seed).sample
        return EpisodeSampler(prepared.data, episode, seed).sample

    def scorer(self, model: AdaptingModel) -> ModelScorer:
        """One scenario at a time."""
        if isinstance(model, MatchingCMML):
            return MatchingScorer(model)
        return ModelScorer(model, tasks=1)

    def evaluate(self, scorer: Scorer, asked: EvaluationEpisodes) -> TaskMetrics:
        """Ranks all items of each scenario for each of its evaluation users."""
        return evaluate_ranking(candidate_scores(scorer), asked)

    def scored_pairs(
        self, scorer: Scorer, asked: EvaluationEpisodes
    ) -> tuple[np.ndarray, np.ndarray]:
        """Every candidate of every user: taken or not."""
        return scored_candidates(candidate_scores(scorer), asked)

    def validate(self, scorer: Scorer, asked: EvaluationEpisodes) -> dict[str, float]:
        """Recall and NDCG on the validation scenarios."""
        means = self.evaluate(scorer, asked).means()
        return {name: means[name] for name in _VALIDATION_METRICS}

    def told(self, prepared: ScenarioParts, known: Known) -> tuple[ScenarioParts, dict[str, float]]:
        """Pairs of known and of unknown users and items are told apart."""
        asked, curve = prepared.meta_test.with_known(known), prepared.curve
        if isinstance(curve, ScenarioCurve):
            curve = curve.with_known(known)
        return replace(prepared, meta_test=asked, curve=curve), asked.known()

    def counts(self, asked: EvaluationEpisodes) -> dict[str, np.ndarray]:
        """See `EvaluationEpisodes.counts`."""
        return asked.counts()

    def simple_systems(self, prepared: ScenarioParts, names: Sequence[str]) -> dict[str, Scorer]:
        """Counts, factors and neighbours, without any network."""
        return simple_scenario_systems(prepared, names)

    def protocol(self, data: ScenarioData) -> str:
        """As the data was split."""
        return data.protocol

    def requests(
        self, prepared: ScenarioParts, asked: EvaluationEpisodes, number: int
    ) -> Sequence[Request]:
        """100 candidates of a user for the support sets of the asked scenarios."""
        made = []
        for place in range(number):
            task = asked.episode(place % len(asked))
            users = np.resize(task.users[:1], (1, _CANDIDATES))
            made.append(Request(task.support, users, np.resize(task.candidates, (1, _CANDIDATES))))
        return made

    def served(
        self,
        model: AdaptingModel,
        prepared: ScenarioParts,
        further: Mapping[str, Any] | None = None,
    ) -> Served:
        """Where ids are matched, with what features say of ids that the model does not know."""
        if isinstance(model, MatchingCMML):
            return served_matching(model, prepared, further)
        return super().served(model, prepared, further)

    def membership(self, model: AdaptingModel, prepared: ScenarioParts) -> Membership | None:
        """Where ids are matched, what the training scenarios say of it."""
        if not isinstance(model, MatchingCMML):
            return None
        content = prepared.item_content
        described = None if content is None else content.matrix
        return membership_of(prepared, described, prepared.matching.rows.item)

    def export_options(self, config: ScenarioRunConfig) -> dict[str, Any]:
        """Limits, and hashed user ids."""
        return {
            "limits": config.limits,
            "user_id_key": read_user_id_key(config.hash_user_ids),
        }


def _with_tables(
    build: Callable[..., AdaptingModel], recipe: Recipe, prepared: ScenarioParts
) -> AdaptingModel:
    tf.keras.utils.set_random_seed(recipe.seed)
    model = build(
        recipe.model,
        users=len(prepared.data.user_ids),
        items=len(prepared.data.item_ids),
        user_dimension=prepared.user_embeddings.shape[1],
        item_dimension=prepared.item_embeddings.shape[1],
        trainable_tables=recipe.training.train_embeddings,
        task=ranking_task(recipe.episode.loss, recipe.episode.query_negatives),
        gradient_clip=recipe.training.gradient_clip,
    )
    model.pair_embedding.set_tables(prepared.user_embeddings, prepared.item_embeddings)
    return model


def _matching(
    recipe: Recipe, prepared: ScenarioParts, user_rows: np.ndarray, item_rows: np.ndarray
) -> MatchingCMML:
    tf.keras.utils.set_random_seed(recipe.seed)
    # What is fitted is an estimate; vectors that the data ship are what they are.
    is_fitted = prepared.data.item_embeddings is None
    model, shipped = recipe.model, recipe.model.shipped_correction_units
    return build_matching(
        model if is_fitted else replace(model, item_noise=0.0, correction_units=shipped),
        user_rows,
        item_rows,
        prepared.matching.dimension,
        len(prepared.data.item_ids),
        ranking_task(recipe.episode.loss, recipe.episode.query_negatives),
        recipe.training.gradient_clip,
        recipe.seed,
    )
