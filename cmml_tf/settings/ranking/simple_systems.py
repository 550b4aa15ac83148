"""The simple controls of the ranking setting, their numbers chosen on users who are learned from.

A fold of these users is set aside; what is fitted on all others ranks for them, with supports of
every size, and the numbers with the largest mean Recall@20 are taken. Then everything is fitted on
all users who are learned from. Of large tables the same items are kept as in the model's, and the
penalty of ALS is chosen on at most 20,000 users, as a fit to more takes minutes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from cmml_tf.baselines.simple_rankings.als_fold_in import AlsFoldIn, fit_item_factors
from cmml_tf.baselines.simple_rankings.catalogue_system import (
    CatalogueSystem,
    Chance,
    Popularity,
    SumOfTwo,
    TableSystem,
)
from cmml_tf.baselines.simple_rankings.mult_vae import EPOCHS, MultVae, MultVaeTraining
from cmml_tf.datasets.tasks.users.taken_items import TakenItems
from cmml_tf.embeddings.item_tables import edlae, neighbours
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.settings.ranking.parts import UNWEIGHTED, RankingParts

_SHRINKAGES, _PENALTIES = (0.0, 30.0, 100.0, 300.0), (100.0, 300.0, 1000.0, 3000.0, 10000.0)
_MOST_USERS = 20_000
_SHARES = (0.15, 0.3, 0.5, 0.7)
_ALS_PENALTIES, _DIMENSION, _CONFIDENCE, _SWEEPS = (10.0, 100.0, 1000.0), 48, 10.0, 6


def simple_ranking_systems(parts: RankingParts, names: Sequence[str]) -> dict[str, Scorer]:
    """The systems of these names; see above for the numbers of those that have some."""
    found: dict[str, Scorer] = {}
    fitted: _Fitted | None = None
    for name in names:
        if name == "popularity":
            found[name] = Popularity(parts.data.taken)
        elif name == "chance":
            found[name] = Chance(len(parts.data.item_ids))
        else:
            if fitted is None:
                vae = cache(lambda: MultVaeTraining(parts.table_items, parts.seed))
                fitted = _Fitted(parts, parts.data.learned, None, vae)
                chosen = _Chosen(parts, vae)
                parts.forget_grams()
            found[name] = fitted.system(name, chosen)
    return found


class _Fitted:
    """What is fitted on some users; `system` of given numbers."""

    def __init__(
        self,
        parts: RankingParts,
        taken: TakenItems,
        without: int | None,
        vae: Callable[[], MultVaeTraining],
    ) -> None:
        self._parts = parts
        items = len(parts.data.item_ids)
        self.times = np.bincount(taken.item, minlength=items)
        self._whole = taken.matrix(items)
        # To choose numbers, every k-th user; then all.
        self._thinned = self._whole[:: 1 if without is None else -(-len(taken) // _MOST_USERS)]
        self._counts = parts.gram(UNWEIGHTED, without).matrix
        # Each is large; of several numbers the last one is asked for again.
        self.item_knn = lru_cache(maxsize=1)(self._item_knn)
        self.ease = lru_cache(maxsize=1)(self._ease)
        self.als_fold_in = lru_cache(maxsize=1)(self._als_fold_in)
        self._vae = cache(lambda: vae().weights(self._whole[:, : parts.table_items]))

    def _item_knn(self, shrinkage: float) -> CatalogueSystem:
        return TableSystem(self.times, neighbours(self._counts, shrinkage), shrinkage=shrinkage)

    def _ease(self, penalty: float) -> CatalogueSystem:
        return TableSystem(self.times, edlae(self._counts, penalty), penalty=penalty)

    def _als_fold_in(self, penalty: float) -> CatalogueSystem:
        factors = fit_item_factors(
            self._thinned, _DIMENSION, _CONFIDENCE, penalty, _SWEEPS, self._parts.seed
        )
        return AlsFoldIn(self.times, factors, _CONFIDENCE, penalty)

    def mult_vae(self, epochs: int) -> CatalogueSystem:
        """As it is after so many epochs."""
        return MultVae(self.times, self._vae()[epochs], epochs)

    def system(self, name: str, chosen: "_Chosen") -> CatalogueSystem:
        """The system of a name with the numbers that were chosen for it."""
        if name != "knn_ease":
            one: CatalogueSystem = getattr(self, name)(chosen.number(name))
            return one
        both = self.item_knn(chosen.number("item_knn")), self.ease(chosen.number("ease"))
        return SumOfTwo(self.times, *both, chosen.number(name))


class _Chosen:
    """The numbers that suit the users who are set aside, each found when first asked for."""

    _OPTIONS: Mapping[str, Sequence[float]] = {
        "item_knn": _SHRINKAGES,
        "ease": _PENALTIES,
        "als_fold_in": _ALS_PENALTIES,
        "knn_ease": _SHARES,
        "mult_vae": EPOCHS,
    }

    def __init__(self, parts: RankingParts, vae: Callable[[], MultVaeTraining]) -> None:
        self._parts = parts
        self._fitted = _Fitted(parts, parts.others, 0, vae)
        self.number = cache(self._number)

    def _number(self, name: str) -> float:
        make: Callable[[float], Any] = getattr(self._fitted, name, self._sum)
        return max(self._OPTIONS[name], key=lambda one: self._parts.recall(make(one)))

    def _sum(self, share: float) -> CatalogueSystem:
        both = (
            self._fitted.item_knn(self.number("item_knn")),
            self._fitted.ease(self.number("ease")),
        )
        return SumOfTwo(self._fitted.times, *both, share)
