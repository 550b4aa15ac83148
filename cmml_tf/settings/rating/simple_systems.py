"""The simple controls of the user setting, their numbers chosen on users who are learned from.

A part of the meta-training users is set aside; what is fitted on all other ratings predicts their
last ones from those before, with support sets of several sizes, and the numbers with the smallest
mean absolute error are taken. Then everything is fitted on all ratings of users who are not asked.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from cmml_tf.baselines.simple_ratings.blend import Blend
from cmml_tf.baselines.simple_ratings.factors_fold_in import FactorsFoldIn
from cmml_tf.baselines.simple_ratings.item_knn import RatingItemKnn, Similarity
from cmml_tf.baselines.simple_ratings.means import (
    GlobalMean,
    ItemMeanAndUserBias,
    ItemMeans,
    UserMean,
    item_means,
)
from cmml_tf.datasets.tasks.users.rating_tasks import RatingData, RatingTasks
from cmml_tf.embeddings.ratings.rating_factors import fit_rating_factors
from cmml_tf.episodes.asked.asked_users import AskedUsers
from cmml_tf.episodes.asked.user_curve import UserCurve
from cmml_tf.evaluation.rating import evaluate_ratings, predicted_ratings
from cmml_tf.evaluation.scorer import Scorer

_SET_ASIDE, _MOST_SET_ASIDE, _MOST_LEARNED = 0.1, 400, 6000
_SIZES = (5, 20, 1000)
_SHRINKAGES, _WEIGHTS = (10.0, 50.0), (0.1, 0.3, 1.0)
_FACTORS, _PENALTIES, _OFFSET_PENALTY, _SWEEPS = 16, (8.0, 12.0, 18.0), 3.0, 6
_SHARES = (0.3, 0.4, 0.5, 0.6, 0.7)


def simple_rating_systems(data: RatingData, names: Sequence[str]) -> dict[str, Scorer]:
    """The systems of these names; see above for the numbers of those that have some."""
    fitted = _Fitted(data.log, len(data.item_ids))
    chosen = _Chosen(data)
    found: dict[str, Scorer] = {}
    for name in names:
        if name == "item_knn":
            found[name] = fitted.item_knn(*chosen.item_knn)
        elif name == "als_fold_in":
            found[name] = fitted.factors(chosen.penalty)
        elif name == "blend":
            knn, factors = fitted.item_knn(*chosen.item_knn), fitted.factors(chosen.penalty)
            found[name] = Blend(knn, factors, chosen.share)
        else:
            kinds = {
                "global_mean": GlobalMean,
                "user_mean": UserMean,
                "item_mean": ItemMeanAndUserBias,
            }
            found[name] = kinds[name](fitted.means)
    return found


class _Fitted:
    """What is fitted on users, each once."""

    def __init__(self, tasks: RatingTasks, items: int) -> None:
        self._tasks, self._items = tasks, items
        self._factors: dict[float, FactorsFoldIn] = {}

    @cached_property
    def means(self) -> ItemMeans:
        return item_means(self._tasks, self._items)

    @cached_property
    def _similarity(self) -> Similarity:
        return Similarity.of(self._tasks, self.means)

    def item_knn(self, shrinkage: float, weight: float) -> RatingItemKnn:
        return RatingItemKnn(self.means, self._similarity, shrinkage, weight)

    def factors(self, penalty: float) -> FactorsFoldIn:
        if penalty not in self._factors:
            found = fit_rating_factors(
                self._tasks, self._items, _FACTORS, penalty, _OFFSET_PENALTY, _SWEEPS, seed=0
            )
            self._factors[penalty] = FactorsFoldIn(*found, penalty, _OFFSET_PENALTY)
        return self._factors[penalty]


class _Chosen:
    """The numbers that suit users who are set aside, each found when first asked for."""

    def __init__(self, data: RatingData) -> None:
        rng = np.random.default_rng(0)
        users = rng.permutation(len(data.meta_train))
        aside = data.meta_train.take(
            users[: min(_MOST_SET_ASIDE, max(1, round(_SET_ASIDE * len(users))))]
        )
        others = np.flatnonzero(~np.isin(data.log.user, aside.user))
        learned = data.log.take(np.sort(rng.permutation(others)[:_MOST_LEARNED]))
        self._fitted = _Fitted(learned, len(data.item_ids))
        asked = AskedUsers.of(aside, data.query, data.user_ids)
        self._asked = [UserCurve(asked, draws=1).tasks(size, 0) for size in _SIZES]

    @cached_property
    def item_knn(self) -> tuple[float, float]:
        return min(
            ((shrinkage, weight) for shrinkage in _SHRINKAGES for weight in _WEIGHTS),
            key=lambda both: self._error(self._fitted.item_knn(*both)),
        )

    @cached_property
    def penalty(self) -> float:
        return min(_PENALTIES, key=lambda one: self._error(self._fitted.factors(one)))

    @cached_property
    def share(self) -> float:
        both = self._fitted.item_knn(*self.item_knn), self._fitted.factors(self.penalty)
        return min(_SHARES, key=lambda one: self._error(Blend(*both, one)))

    def _error(self, system: Scorer) -> float:
        predictions = predicted_ratings(system)
        return float(
            np.mean([evaluate_ratings(predictions, one).means()["mae"] for one in self._asked])
        )
