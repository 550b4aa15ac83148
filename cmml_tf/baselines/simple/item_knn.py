"""Item-kNN: items that are taken by those who took what a user has taken, the support included.

  score(u, i) = (n_i + c_i + b)^-a sum_j (n_j + b)^-1/2 |takers of both i and j|,

j over the items that u has taken elsewhere, n an item's known takers, c_i its count in the support;
the takers of i are those of the log and those of the support set. With a = 1/2 it is the sum of
cosines, shrunken by b; with a = 0 popular items come first.
"""

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.baselines.simple.clicks import Clicks, SimpleSystem
from cmml_tf.baselines.simple.known_log import KnownLog

_MOST_USERS = 20_000
_KEPT = 512


class Overlaps:
    """What of an item-kNN depends on the log alone, kept from one support set to the next.

    Args:
      log: Who has taken what. Of more than `_MOST_USERS` users, so many at random count as takers.
      shrinkage: b.

    Attributes:
      shrinkage: b.
    """

    def __init__(self, log: KnownLog, shrinkage: float) -> None:
        self.shrinkage = shrinkage
        self._log = log
        self._takers = log.taken
        users = log.taken.shape[0]
        if users > _MOST_USERS:
            some = np.random.default_rng(0).permutation(users)[:_MOST_USERS]
            self._takers = log.taken[np.sort(some)]
        popularity = np.asarray(self._takers.sum(axis=0)).ravel()
        self._weight = (popularity + shrinkage) ** -0.5
        self._kept: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def histories(self, users: np.ndarray) -> csr_matrix:
        """float32 [N, items]: what users have taken."""
        return self._log.histories(users)

    def weighted(self, users: np.ndarray) -> csr_matrix:
        """float64 [N, items]: what users have taken, each item by (n_j + b)^-1/2."""
        return csr_matrix(self._log.histories(users).multiply(self._weight))

    def known(self, users: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """float64 [U, I], the sum over j for takers of the log, and n_i [I]."""
        key = users.tobytes() + b"|" + items.tobytes()
        if key not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            inside = (items >= 0) & (items < self._takers.shape[1])
            taken = self._takers[:, np.where(inside, items, 0)].multiply(inside).tocsr()
            both = (self.weighted(users) @ self._takers.T) @ taken
            self._kept[key] = both.toarray(), np.asarray(taken.sum(axis=0)).ravel()
        return self._kept[key]


class ItemKnn(SimpleSystem):
    """See above; a user that nobody knows has no neighbours, so that counts order the items.

    Args:
      overlaps: Of the log, with the shrinkage b.
      popularity: a.
    """

    def __init__(self, overlaps: Overlaps, popularity: float) -> None:
        super().__init__(shrinkage=overlaps.shrinkage, popularity=popularity)
        self._overlaps, self._popularity = overlaps, popularity

    def grid(self, clicks: Clicks, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float64 [U, I]."""
        known, takers = self._overlaps.known(users, items)
        both, counts = known.astype(np.float64), clicks.counts(items)
        here = np.isin(clicks.items, items)
        if here.any():
            distinct, place = np.unique(clicks.users[here], return_inverse=True)
            order = np.argsort(items, kind="stable")
            item = order[np.searchsorted(items, clicks.items[here], sorter=order)]
            taken = csr_matrix((np.ones(len(place)), (place, item)), (len(distinct), len(items)))
            alike = self._overlaps.weighted(users) @ self._overlaps.histories(distinct).T
            both += (alike @ taken).toarray()
        scores = both * (takers + counts + self._overlaps.shrinkage) ** -self._popularity
        # Far below any overlap: only where there is none, or the same.
        return scores + 1e-9 * (counts + takers / (1.0 + takers.max(initial=0.0)))
