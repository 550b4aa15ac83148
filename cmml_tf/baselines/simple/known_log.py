"""What is known before a scenario is met: who took what elsewhere, and embeddings of it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

_PRODUCTS = 20_000


@dataclass(frozen=True)
class KnownLog:
    """Pairs and embeddings; rows outside the tables are users and items that nobody knows.

    Attributes:
      taken: float32 [U, I], 1 where a user has taken an item.
      user, item: float32 [U, d], [I, d]; zeros where nothing is known.
    """

    taken: csr_matrix
    user: np.ndarray
    item: np.ndarray

    @classmethod
    def of(
        cls,
        pair_users: np.ndarray,
        pair_items: np.ndarray,
        user: np.ndarray,
        item: np.ndarray,
    ) -> "KnownLog":
        """Of pairs, int [K] each, and the embeddings fitted on them."""
        pairs = np.unique(pair_users.astype(np.int64) * len(item) + pair_items)
        row, column = np.divmod(pairs, len(item))
        ones = np.ones(len(pairs), np.float32)
        return cls(csr_matrix((ones, (row, column)), (len(user), len(item))), user, item)

    def users(self, rows: np.ndarray) -> np.ndarray:
        """float64 [N, d], embeddings of users."""
        return _gathered(self.user, rows)

    def items(self, rows: np.ndarray) -> np.ndarray:
        """float64 [N, d], embeddings of items."""
        return _gathered(self.item, rows)

    def histories(self, rows: np.ndarray) -> csr_matrix:
        """float32 [N, I], what users have taken; nothing of users that nobody knows."""
        inside = (rows >= 0) & (rows < self.taken.shape[0])
        found = self.taken[np.where(inside, rows, 0)]
        if not inside.all():
            found = csr_matrix(found.multiply(inside[:, None]))
        return found

    @cached_property
    def click(self) -> float:
        """The mean product of the embeddings over known pairs: what a click is worth; 1 if none."""
        row, column = self.taken.nonzero()
        some = np.random.default_rng(0).permutation(len(row))[:_PRODUCTS]
        products = np.sum(self.user[row[some]] * self.item[column[some]], axis=1, dtype=np.float64)
        value = float(products.mean()) if len(some) else 0.0
        return value if value > 0 else 1.0


def _gathered(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    inside = (rows >= 0) & (rows < len(table))
    found = table[np.where(inside, rows, 0)].astype(np.float64)
    found[~inside] = 0.0
    return found
