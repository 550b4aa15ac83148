"""The directions in which the rows of a sparse matrix differ most."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, svds

_LARGEST_DENSE = 512
_LEAST_SHARE = 1e-3  # of the largest singular value; below it there is nothing but rounding


def principal_directions(
    rows: sparse.csr_array, present: np.ndarray, means: np.ndarray, most: int
) -> tuple[np.ndarray, float]:
    """Truncated singular value decomposition of rows - present means, never made dense.

    The sign of each direction is that with which its largest number is positive.

    Args:
      rows: float64 [N, F].
      present: float64 [N, K], 1 where a block is known.
      means: float64 [K, F], what is subtracted of each block that is.
      most: Directions at the most.

    Returns:
      float64 [F, c], c <= most, the directions, the first first; and the share of the variance that
      lies in them.
    """
    count, width = rows.shape
    means = sparse.csr_array(means)
    if min(count, width) <= _LARGEST_DENSE:
        dense = rows.toarray() - present @ means.toarray()
        _, values, directions = np.linalg.svd(dense, full_matrices=False)
    else:
        transposed, means_transposed = rows.T.tocsr(), means.T.tocsr()
        operator = LinearOperator(
            rows.shape,
            matvec=lambda v: rows @ v.ravel() - present @ (means @ v.ravel()),
            rmatvec=lambda u: transposed @ u.ravel() - means_transposed @ (present.T @ u.ravel()),
            matmat=lambda v: rows @ v - present @ (means @ v),
            dtype=np.float64,
        )
        start = np.full(min(count, width), min(count, width) ** -0.5)
        _, values, directions = svds(operator, k=most, v0=start)
        order = np.argsort(-values, kind="stable")
        values, directions = values[order], directions[order]
    kept = np.flatnonzero(values > _LEAST_SHARE * values.max(initial=0.0))[:most]
    found = directions[kept]
    largest = found[np.arange(len(kept)), np.abs(found).argmax(axis=1)]
    total = _variance(rows, present, means)
    return (found * np.sign(largest)[:, None]).T, float(np.sum(values[kept] ** 2) / total)


def _variance(rows: sparse.csr_array, present: np.ndarray, means: sparse.csr_array) -> float:
    """The sum of squares of rows - present means."""
    # Blocks do not overlap, so each mean's square counts once for each row that has the block.
    crossed = (rows.multiply(rows)).sum() - 2 * np.sum(present * (rows @ means.T))
    return float(crossed + np.sum(present @ means.multiply(means).sum(axis=1)))
