"""How scores are distributed, in few numbers."""

from typing import Any

import numpy as np

_BINS = 10


def score_summary(scores: np.ndarray) -> dict[str, Any]:
    """What a manifest says of scores: `count`, `mean`, `std` and 11 `quantiles`, 0, .1, ... 1.

    Args:
      scores: float [N], N > 0.
    """
    scores = np.asarray(scores, np.float64)
    quantiles = np.quantile(scores, np.linspace(0, 1, _BINS + 1))
    return {
        "count": len(scores),
        "mean": float(scores.mean()),
        "std": float(scores.std()),
        "quantiles": quantiles.tolist(),
    }


def evenly_spaced(scores: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the scores, of any shape, at equal distances."""
    flat = scores.ravel()
    return flat[:: max(1, -(-flat.size // most))]
