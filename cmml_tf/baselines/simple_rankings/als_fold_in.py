"""ALS fold-in: implicit-feedback least squares, and a new user solved for in closed form.

Hu, Koren, Volinsky 2008: of the factors V of all items, a user with the items S has

  u = (V^T V + a sum_s v_s v_s^T + l I)^-1 (1 + a) sum_s v_s,

and an item, its users fixed, likewise.
"""

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.baselines.simple_rankings.catalogue_system import CatalogueSystem

_ROWS_AT_A_TIME = 256


class AlsFoldIn(CatalogueSystem):
    """<user solved from the support, item>.

    Args:
      taken: int [I].
      items: float32 [I, d], factors of the items.
      confidence: a.
      penalty: l.
    """

    def __init__(
        self, taken: np.ndarray, items: np.ndarray, confidence: float, penalty: float
    ) -> None:
        super().__init__(taken, confidence=confidence, penalty=penalty)
        self._items = items

    def scores(self, support: csr_matrix) -> np.ndarray:
        """float [B, I]."""
        return solved(support, self._items, **self.settings) @ self._items.T


def fit_item_factors(
    matrix: csr_matrix, dimension: int, confidence: float, penalty: float, sweeps: int, seed: int
) -> np.ndarray:
    """float32 [I, d]: factors of the items of users' items, float32 [T, I] of 0 and 1."""
    rng = np.random.default_rng(seed)
    items = rng.normal(scale=0.1, size=(matrix.shape[1], dimension)).astype(np.float32)
    turned = csr_matrix(matrix.T)
    for _ in range(sweeps):
        users = solved(matrix, items, confidence, penalty)
        items = solved(turned, users, confidence, penalty)
    return items


def solved(
    matrix: csr_matrix, factors: np.ndarray, confidence: float, penalty: float
) -> np.ndarray:
    """float32 [R, d]: rows of a matrix of 0 and 1, solved for with the factors [C, d] fixed."""
    d = factors.shape[1]
    base = factors.T @ factors + penalty * np.eye(d, dtype=np.float32)
    # Products of two factors are symmetric: each is made once, and placed twice.
    row, column = np.triu_indices(d)
    place = np.zeros([d, d], np.intp)
    place[row, column] = place[column, row] = np.arange(len(row))
    products = np.empty([len(factors), len(row)], np.float32)
    for one in range(d):
        products[:, row == one] = factors[:, one : one + 1] * factors[:, one:]
    found = []
    for first in range(0, matrix.shape[0], _ROWS_AT_A_TIME):
        part = matrix[first : first + _ROWS_AT_A_TIME]
        systems = base + confidence * (part @ products)[:, place]
        wanted = (1 + confidence) * (part @ factors)
        found.append(np.linalg.solve(systems, wanted[:, :, None])[:, :, 0])
    return np.concatenate(found).astype(np.float32)
