"""The simple controls of the scenario setting, their numbers chosen on scenarios that are known.

They are chosen on validation scenarios, or where there are none on some meta-training scenarios,
each asked as if it were held out: by the mean Recall@10 over support sets of several sizes.
Meta-test scenarios are never looked at.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from cmml_tf.baselines.simple.als_fold_in import AlsFoldIn
from cmml_tf.baselines.simple.clicks import SimpleSystem
from cmml_tf.baselines.simple.dot import Dot, ItemPopDot
from cmml_tf.baselines.simple.item_knn import ItemKnn, Overlaps
from cmml_tf.baselines.simple.item_pop import Chance, ItemPop
from cmml_tf.baselines.simple.known_log import KnownLog
from cmml_tf.config import EpisodeConfig
from cmml_tf.datasets.tasks.held_out import halve_users
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, ScenarioData
from cmml_tf.episodes.evaluation_episodes import EvaluationEpisodes
from cmml_tf.episodes.scenario_curve import ScenarioCurve
from cmml_tf.evaluation.ranking import candidate_scores, evaluate_ranking
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.settings.scenario.parts import ScenarioParts

_METRIC = "recall@10"
_SCENARIOS, _SUPPORT_PAIRS = 8, 512
_SIZES = (4, 16, 64, _SUPPORT_PAIRS)
_WEIGHTS = (0.05, 0.15, 0.5, 1.5)
_SHRINKAGES, _POPULARITIES = (1.0, 10.0, 100.0), (0.0, 0.25, 0.5)
_PENALTIES, _CONFIDENCES = (0.3, 3.0, 30.0, 300.0), (1.0, 10.0)


def simple_scenario_systems(prepared: ScenarioParts, names: Sequence[str]) -> dict[str, Scorer]:
    """The systems of these names; see above for the numbers of those that have some."""
    data = prepared.data
    log = KnownLog.of(
        data.background_users,
        data.background_items,
        prepared.user_embeddings,
        prepared.item_embeddings,
    )
    asked: list[EvaluationEpisodes] = []

    def best(candidates: Iterable[SimpleSystem]) -> SimpleSystem:
        if not asked:
            asked.extend(_known_tasks(data))
        return max(candidates, key=lambda one: _mean_recall(one, asked))

    def neighbours() -> Iterable[SimpleSystem]:
        for shrinkage in _SHRINKAGES:
            overlaps = Overlaps(log, shrinkage)
            for popularity in _POPULARITIES:
                yield ItemKnn(log, overlaps, shrinkage, popularity)

    makers: dict[str, Callable[[], Scorer]] = {
        "item_pop": ItemPop,
        "dot": lambda: Dot(log),
        "item_pop_dot": lambda: best(ItemPopDot(log, weight) for weight in _WEIGHTS),
        "item_knn": lambda: best(neighbours()),
        "als_fold_in": lambda: best(
            AlsFoldIn(log, penalty, alpha) for penalty in _PENALTIES for alpha in _CONFIDENCES
        ),
        "chance": Chance,
    }
    return {name: makers[name]() for name in names}


def _known_tasks(data: ScenarioData) -> list[EvaluationEpisodes]:
    """Scenarios that are no meta-test ones, with support sets of several sizes."""
    scenarios: Sequence[HeldOutScenario] = data.validation[:_SCENARIOS]
    if not scenarios:
        rng = np.random.default_rng(0)
        scenarios = [
            halve_users(one.name, one.users, one.items, one.candidates, _SUPPORT_PAIRS, rng)
            for one in data.meta_train
            if len(np.unique(one.users)) > 1
        ][:_SCENARIOS]
    curve = ScenarioCurve.draw(scenarios, EpisodeConfig(support_negatives=0), seed=0, draws=1)
    return [curve.tasks(size, 0) for size in _SIZES]


def _mean_recall(system: SimpleSystem, asked: Sequence[EvaluationEpisodes]) -> float:
    scores_of = candidate_scores(system)
    return float(np.mean([evaluate_ranking(scores_of, one).means()[_METRIC] for one in asked]))
