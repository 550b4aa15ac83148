"""ALS fold-in: the support's items solved anew in closed form, given who took them.

Implicit-feedback least squares (Hu, Koren, Volinsky 2008) has for an item i, its users fixed,

  v_i = (G + L I + alpha sum_s u_s u_s^T)^-1 ((1 + alpha) t sum_s u_s + L m_i),

s over the support pairs of i, G = sum of u u^T over the distinct users of the support, m_i what the
item's embedding was before, and t the value of a click in units of the embeddings. With no pair, or
with L without end, v_i = m_i.
"""

import numpy as np

from cmml_tf.baselines.simple.clicks import Clicks, SimpleSystem
from cmml_tf.baselines.simple.known_log import KnownLog


class AlsFoldIn(SimpleSystem):
    """<user embedding, item solved from the support>. A user that nobody knows is the mean user.

    Args:
      log: Holds the embeddings.
      penalty: L, how strongly an item is held to what it was.
      alpha: Confidence of a click.
    """

    def __init__(self, log: KnownLog, penalty: float, alpha: float) -> None:
        super().__init__(penalty=penalty, alpha=alpha)
        self._log = log
        self._penalty, self._alpha = penalty, alpha
        known = np.flatnonzero(np.any(log.user != 0, axis=1))
        self._mean_user = (
            log.user[known].mean(axis=0, dtype=np.float64)
            if len(known)
            else np.zeros(log.user.shape[1])
        )

    def grid(self, clicks: Clicks, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float64 [U, I]."""
        vectors = self._log.items(items)
        order = np.argsort(items, kind="stable")
        place = order[
            np.minimum(np.searchsorted(items, clicks.items, sorter=order), len(items) - 1)
        ]
        inside = items[place] == clicks.items
        if inside.any():
            of, place = np.unique(place[inside], return_inverse=True)
            vectors[of] = self._solved(
                self._users(clicks.users[inside]),
                place,
                vectors[of],
                self._users(np.unique(clicks.users)),
            )
        return self._users(users) @ vectors.T

    def _users(self, rows: np.ndarray) -> np.ndarray:
        vectors = self._log.users(rows)
        vectors[~vectors.any(axis=1)] = self._mean_user
        return vectors

    def _solved(
        self, users: np.ndarray, item: np.ndarray, before: np.ndarray, distinct: np.ndarray
    ) -> np.ndarray:
        """float64 [I, d] from the users [n, d] of each click, the item it is of [n], and m_i."""
        order = np.argsort(item, kind="stable")
        users, begin = users[order], np.searchsorted(item[order], np.arange(len(before)))
        # A product for each item: the products of all pairs would be a matrix each.
        of_items = np.split(users, begin[1:])
        first = np.stack([own.T @ own for own in of_items])
        second = np.add.reduceat(users, begin)
        gram = distinct.T @ distinct + self._penalty * np.eye(users.shape[1])
        wanted = (1 + self._alpha) * self._log.click * second + self._penalty * before
        return np.linalg.solve(gram + self._alpha * first, wanted[:, :, None])[:, :, 0]
