"""The simple controls of the scenario setting, their numbers chosen on scenarios that are known.

They are chosen on validation scenarios, or where there are none on some meta-training scenarios,
each asked as if it were held out: by the mean Recall@10 over support sets of several sizes.
Meta-test scenarios are never looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cmml_tf.baselines.simple.als_fold_in import AlsFoldIn
from cmml_tf.baselines.simple.clicks import SimpleSystem
from cmml_tf.baselines.simple.dot import Dot, ItemPopDot
from cmml_tf.baselines.simple.item_knn import ItemKnn, Overlaps
from cmml_tf.baselines.simple.item_pop import Chance, ItemPop
from cmml_tf.baselines.simple.known_log import KnownLog
from cmml_tf.config import CurveConfig, EmbeddingConfig, EpisodeConfig
from cmml_tf.datasets.tasks.held_out import halve_users
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, Scenario, ScenarioData
from cmml_tf.embeddings.matrix_factorisation import pretrained_embeddings
from cmml_tf.episodes.asked.evaluation_episodes import EvaluationEpisodes
from cmml_tf.episodes.asked.scenario_curve import ScenarioCurve
from cmml_tf.evaluation.ranking import candidate_scores, evaluate_ranking
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.settings.scenario.parts import ScenarioParts

_METRIC = "recall@10"
_SCENARIOS, _SUPPORT_PAIRS, _MOST_PAIRS = 8, 512, 2_000_000
_SIZES = (4, 16, 64, _SUPPORT_PAIRS)
_WEIGHTS = (0.05, 0.15, 0.5, 1.5)
_SHRINKAGES, _POPULARITIES = (1.0, 10.0, 100.0), (0.0, 0.25, 0.5)
_PENALTIES, _CONFIDENCES = (0.3, 3.0, 30.0, 300.0), (1.0, 10.0)

Family = Callable[[KnownLog], Sequence[SimpleSystem]]
"""What is known -> a system with each choice of its numbers, always in the same order."""


def _item_pop_dot(log: KnownLog) -> list[SimpleSystem]:
    return [ItemPopDot(log, weight) for weight in _WEIGHTS]


def _item_knn(log: KnownLog) -> list[SimpleSystem]:
    overlaps = [Overlaps(log, shrinkage) for shrinkage in _SHRINKAGES]
    return [ItemKnn(one, popularity) for one in overlaps for popularity in _POPULARITIES]


def _als_fold_in(log: KnownLog) -> list[SimpleSystem]:
    return [AlsFoldIn(log, penalty, alpha) for penalty in _PENALTIES for alpha in _CONFIDENCES]


_FAMILIES: dict[str, Family] = {
    "dot": lambda log: [Dot(log)],
    "item_pop_dot": _item_pop_dot,
    "item_knn": _item_knn,
    "als_fold_in": _als_fold_in,
}
_OF_SUPPORT = {"item_pop": ItemPop, "chance": Chance}


def simple_scenario_systems(prepared: ScenarioParts, names: Sequence[str]) -> dict[str, Scorer]:
    """The systems of these names; see above for the numbers of those that have some."""
    log: KnownLog | None = None
    rehearsal: Rehearsal | None = None
    found: dict[str, Scorer] = {}
    for name in names:
        if name in _OF_SUPPORT:
            found[name] = _OF_SUPPORT[name]()
            continue
        log = log or KnownLog.of(*prepared.data.training_pairs(), *prepared.known_embeddings)
        systems = _FAMILIES[name](log)
        if len(systems) > 1:
            rehearsal = rehearsal or rehearsal_of(prepared, log)
            systems = [systems[rehearsal.best(_FAMILIES[name])]]
        found[name] = systems[0]
    return found


class Rehearsal(NamedTuple):
    """Tasks that are not reported, and what is known before these are met."""

    log: KnownLog
    asked: Sequence[EvaluationEpisodes]

    def best(self, family: Family) -> int:
        """The place of the system with the largest mean metric."""
        means = []
        for system in family(self.log):
            scores_of = candidate_scores(system)
            values = [evaluate_ranking(scores_of, one).means()[_METRIC] for one in self.asked]
            means.append(np.mean(values))
        return int(np.argmax(means))


def rehearsal_of(prepared: ScenarioParts, log: KnownLog) -> Rehearsal:
    """By which the numbers of a system are chosen, `log` being what all of training knows."""
    data = prepared.data
    scenarios: Sequence[HeldOutScenario] = data.validation[:_SCENARIOS]
    if not scenarios:
        rng = np.random.default_rng(0)
        chosen = [one for one in data.meta_train if len(np.unique(one.users)) > 1]
        chosen = chosen[: max(1, min(_SCENARIOS, len(data.meta_train) // 4))]
        scenarios = [
            halve_users(one.name, one.users, one.items, one.candidates, _SUPPORT_PAIRS, rng)
            for one in chosen
        ]
        log = _log_without(log, data, chosen, prepared.embedding)
    of_support = EpisodeConfig(support_negatives=0)
    curve = ScenarioCurve.draw(scenarios, of_support, seed=0, curve=CurveConfig(draws=1))
    return Rehearsal(log, [curve.tasks(size, 0) for size in _SIZES])


def _log_without(
    log: KnownLog, data: ScenarioData, scenarios: Sequence[Scenario], embedding: EmbeddingConfig
) -> KnownLog:
    """What would be known if these scenarios were held out, by the protocol of the data."""
    items = len(data.item_ids)

    def keys(users: Sequence[np.ndarray], of_items: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(users).astype(np.int64) * items + np.concatenate(of_items)

    removed = keys([one.users for one in scenarios], [one.items for one in scenarios])
    if data.protocol != "warm":
        aside = keys([one.aside_users for one in scenarios], [one.aside_items for one in scenarios])
        removed = np.concatenate([removed, aside])
    users, of_items = data.training_pairs()
    kept = ~np.isin(keys([users], [of_items]), removed)
    if kept.sum() > _MOST_PAIRS:
        # Numbers are chosen as well on a part of the users, the asked ones among them.
        some = np.random.default_rng(0).random(len(data.user_ids)) < _MOST_PAIRS / kept.sum()
        some[np.concatenate([one.users for one in scenarios])] = True
        kept &= some[users]
    pairs = users[kept], of_items[kept]
    vectors = log.user, log.item  # where there is no pair left to fit others on
    if kept.any():
        reduced = replace(data, background_users=pairs[0], background_items=pairs[1])
        vectors = pretrained_embeddings(reduced, embedding, seed=0)
    return KnownLog.of(*pairs, *vectors)
