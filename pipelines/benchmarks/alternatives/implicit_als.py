"""ALS of the package `implicit`, with the items of a scenario folded in from its support."""

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from cmml_tf.baselines.simple.clicks import Clicks, SimpleSystem

try:
    from implicit.cpu.als import AlternatingLeastSquares
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "This benchmark compares with the package implicit, which is not installed. Run "
        "pip install 'cmml_tf[mf]'."
    ) from None

Folded = tuple[np.ndarray, np.ndarray]
"""Rows of items int [n], sorted, and their new factors float32 [n, d]."""


class ImplicitAls(SimpleSystem):
    """A fitted model on one thread, and what it says of a scenario that is new to it.

    An item of the support is solved for anew (`recalculate_item`): its users are those that it had,
    and those of its positives. A user without a pair is the mean user.

    Args:
      model: Holds the factors of users [U, d] and items [I, d].
      taken: 1 where a user has taken an item, [U, I].
    """

    def __init__(self, model: AlternatingLeastSquares, taken: csr_matrix) -> None:
        super().__init__(penalty=model.regularization, alpha=model.alpha)
        self._model = model
        self._users_of = csr_matrix(taken.T)
        known = np.flatnonzero(np.diff(taken.indptr))
        self._users = np.asarray(model.user_factors).copy()
        self._users[np.diff(taken.indptr) == 0] = self._users[known].mean(axis=0)

    @classmethod
    def fitted(
        cls, taken: csr_matrix, dimension: int, regularization: float, alpha: float
    ) -> "ImplicitAls":
        """The model after 15 sweeps over what is known, as the package has it by default."""
        model = AlternatingLeastSquares(
            dimension, regularization, alpha, num_threads=1, random_state=0
        )
        model.fit(taken, show_progress=False)
        return cls(model, taken)

    @classmethod
    def of_factors(cls, users: np.ndarray, items: np.ndarray, taken: csr_matrix) -> "ImplicitAls":
        """A model with these factors, which nobody has fitted: it costs what a fitted one does."""
        with threadpool_limits(1, "blas"):  # the package warns where it is not
            model = AlternatingLeastSquares(users.shape[1], num_threads=1)
        model.user_factors, model.item_factors = users, items
        return cls(model, taken)

    def fold_in(self, users: np.ndarray, items: np.ndarray) -> Folded:
        """From the positives of a support, rows int [n] each."""
        distinct, place = np.unique(items, return_inverse=True)
        ones = np.ones(len(users), np.float32)
        shape = len(distinct), self._users_of.shape[1]
        takers = self._users_of[distinct] + csr_matrix((ones, (place, users)), shape)
        takers.data[:] = 1.0
        return distinct, self._model.recalculate_item(distinct, takers)

    def score_pairs(self, folded: Folded, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Of each item for each user, rows int [n] and [m] -> float32 [n, m]."""
        distinct, factors = folded
        chosen = self._model.item_factors[items]
        place = np.minimum(np.searchsorted(distinct, items), len(distinct) - 1)
        is_new = distinct[place] == items
        chosen[is_new] = factors[place[is_new]]
        return self._users[users] @ chosen.T

    def best(self, folded: Folded, user: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows int [k] of the best items of the whole catalogue, and their scores."""
        distinct, factors = folded
        scores = self._model.item_factors @ self._users[user]
        scores[distinct] = factors @ self._users[user]
        best = np.argpartition(scores, -k)[-k:]
        best = best[np.argsort(-scores[best])]
        return best, scores[best]

    def grid(self, clicks: Clicks, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float32 [U, I]."""
        return self.score_pairs(self.fold_in(clicks.users, clicks.items), users, items)
