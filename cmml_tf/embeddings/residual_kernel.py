"""Which items' ratings go together, beyond the means of items and users."""

import numpy as np
from scipy.sparse import csr_matrix

_USERS_AT_ONCE = 2048
_MOST_USERS = 20_000
_SPREAD, _RATERS = 4.0, 25.0


def residual_kernel(residual: csr_matrix, rated: csr_matrix, items: np.ndarray) -> np.ndarray:
    """Correlations of the residuals of those who rated both items, drawn to 0 where these are few.

      c_ij = sum_u e_ui e_uj / sqrt((q_ij + 4) (q_ji + 4)) * n_ij / (n_ij + 25),

    over the n_ij users of both, q_ij = sum_u e_ui^2. Negative ones, and that of an item with
    itself, are 0.

    Args:
      residual: [U, I], what ratings lie above the expected ones; of more than 20,000 users the
        first ones are read.
      rated: The same with ones.
      items: int [n], the items.

    Returns:
      float16 [n, n].
    """
    n = len(items)
    product, square, both = (np.zeros((n, n), np.float32) for _ in range(3))
    for first in range(0, min(residual.shape[0], _MOST_USERS), _USERS_AT_ONCE):
        part = slice(first, first + _USERS_AT_ONCE)
        e = residual[part][:, items].toarray().astype(np.float32)
        m = rated[part][:, items].toarray().astype(np.float32)
        product += e.T @ e
        square += (e * e).T @ m
        both += m.T @ m
    kernel = product / np.sqrt((square + _SPREAD) * (square.T + _SPREAD))
    kernel *= both / (both + _RATERS)
    np.fill_diagonal(kernel, 0.0)
    return np.maximum(kernel, 0.0).astype(np.float16)
