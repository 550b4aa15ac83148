"""How a model that matches by key is asked: what no support changes is computed once."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.evaluation.scorer import PAIRS_PER_CALL, ModelScorer, graph
from cmml_tf.models.matching_cmml import MatchingCMML

_MOST_KEPT = 2**24
"""Numbers of pairs that are kept, 4 bytes each."""


class MatchingScorer(ModelScorer):
    """Scores grids as `ModelScorer` does, a task at a time.

    The same users are asked of the same items with many support sets. What a user likes of an item
    in general (`PairTaste`) depends on the support only through the user's factor, which moves
    where the user has clicks in the support: it is computed anew for these users alone.

    Args:
      model: The model; its weights must stay as they are.
    """

    def __init__(self, model: MatchingCMML) -> None:
        super().__init__(model, tasks=1)
        ids = tf.TensorSpec([1, None], tf.int64)
        context = tf.TensorSpec([1, None], tf.float32)
        factors = tf.TensorSpec([1, None, model.matching.dimension])
        pair = tf.TensorSpec([1, None, None])
        self._factors = graph(
            lambda one, users: model.user_factors(model.adapted_of(one), users), context, ids
        )
        self._pair_tastes = graph(model.pair_tastes, factors, ids)
        self._grid = graph(
            lambda one, *asked: model.score_grid(model.adapted_of(one), *asked),
            *(context, ids, ids, pair),
        )
        self._kept: dict[tuple[bytes, bytes], tuple[np.ndarray, np.ndarray]] = {}
        self._left = _MOST_KEPT

    def score_grid(self, adapted: Any, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float32 [U, I]; some users at a time."""
        each = math.ceil(PAIRS_PER_CALL / len(items))
        parts = []
        for first in range(0, len(users), each):
            user, item = self._rows(users[None, first : first + each], items[None])
            pair = self._pairs(self._factors(adapted, user), user, item)
            parts.append(self._grid(adapted, user, item, pair).numpy()[0])
        return np.concatenate(parts)

    def _pairs(self, factors: tf.Tensor, user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """float32 [1, U, I]."""
        asked = user.numpy().tobytes(), item.numpy().tobytes()
        if asked not in self._kept:
            pair = self._pair_tastes(factors, item)
            if (size := math.prod(pair.shape)) <= self._left:
                self._left -= size
                self._kept[asked] = factors.numpy()[0], pair.numpy()[0]
            return pair
        of_factors, kept = self._kept[asked]
        moved = np.flatnonzero((factors.numpy()[0] != of_factors).any(axis=1))
        if not len(moved):
            return tf.constant(kept[None])
        pair = kept.copy()
        pair[moved] = self._pair_tastes(tf.gather(factors, moved, axis=1), item).numpy()[0]
        return tf.constant(pair[None])
