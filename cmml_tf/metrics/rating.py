"""MAE and NDCG of predicted ratings, user by user (paper section 4, the user setting).

Equal predictions share their positions, see `tie_groups`. NumPy only; a row is one user.
"""

from collections.abc import Sequence

import numpy as np

from cmml_tf.metrics.inputs import as_mask, as_matrix, check_cutoffs
from cmml_tf.metrics.tie_groups import cumulative_discount, expected_discount, sort_in_tie_groups


def rating_metrics(
    scores: np.ndarray,
    rating: np.ndarray,
    ks: Sequence[int] = (3,),
    valid: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """MAE and NDCG@k of each row; the paper's figures are the means over rows (users).

    - MAE: mean of |score - rating| over the row's ratings, so that each user counts the same.
    - NDCG@k: gain 2^rating - 1, discount 1 / log2(1 + rank), divided by the value of the ranking by
      true rating, cut at k as well; the exact expectation over a uniformly random order of equal
      scores.

    A row without a valid rating has neither, a row of nothing but zero ratings no NDCG: NaN, not 0.

    Args:
      scores: float [R, C], predicted ratings, in units of the rating.
      rating: [R, C], true ratings, zero or more (MovieLens: 1 to 5, or 0.5 to 5).
      ks: Cut-offs; one beyond C takes all ratings.
      valid: bool [R, C], which ratings there are; None: all. What lies outside is never read.

    Returns:
      float64 [R] for each name: `mae`, and `ndcg@<k>` for each of `ks`.

    Raises:
      ValueError: Shapes or types do not fit, a cut-off is not positive, a valid score is NaN, or a
        valid rating is negative or not finite.
    """
    scores = as_matrix("scores", scores).astype(np.float64)
    rating = as_matrix("rating", rating, scores.shape).astype(np.float64)
    valid = np.ones(scores.shape, bool) if valid is None else as_mask("valid", valid, scores.shape)
    check_cutoffs(ks)
    wrong = valid & ~(np.isfinite(rating) & (rating >= 0))
    if wrong.any():
        raise ValueError(
            "`rating` must be finite and not negative. "
            f"Received: {rating[wrong][0]} at row {np.argwhere(wrong)[0][0]}."
        )

    groups = sort_in_tie_groups(scores, valid)
    cumulative = cumulative_discount(scores.shape[1])
    # An invalid place has rating 0, hence gain 0, in the ranking as in the ideal one.
    rating = np.where(valid, rating, 0.0)
    error = np.where(valid, np.abs(np.where(valid, scores, 0.0) - rating), 0.0)
    gain = np.exp2(rating) - 1.0
    ranked_gain = np.take_along_axis(gain, groups.order, axis=1)
    ideal_gain = -np.sort(-gain, axis=1)
    count = valid.sum(axis=1)

    metrics = {"mae": _divide(error.sum(axis=1), count)}
    for k in ks:
        gained = ranked_gain * expected_discount(groups.start, groups.end, k, cumulative)
        ideal = ideal_gain[:, :k] @ np.diff(cumulative)[:k]
        metrics[f"ndcg@{k}"] = _divide(gained.sum(axis=1), ideal)
    return metrics


def interval_metrics(
    low: np.ndarray, high: np.ndarray, rating: np.ndarray, valid: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Whether ratings lie in the intervals that were predicted for them, and how wide these are.

    Args:
      low, high: float [R, C], ends of the intervals, which belong to them.
      rating: [R, C], true ratings.
      valid: bool [R, C], which ratings there are; None: all.

    Returns:
      float64 [R] each: `covered`, the share of a row's ratings inside, and `interval_width`, the
      mean of high - low; NaN for a row without a valid rating.

    Raises:
      ValueError: Shapes or types do not fit.
    """
    low = as_matrix("low", low).astype(np.float64)
    high = as_matrix("high", high, low.shape).astype(np.float64)
    rating = as_matrix("rating", rating, low.shape).astype(np.float64)
    valid = np.ones(low.shape, bool) if valid is None else as_mask("valid", valid, low.shape)
    inside = (low <= rating) & (rating <= high) & valid
    count = valid.sum(axis=1)
    width = np.where(valid, high - low, 0.0)
    return {
        "covered": _divide(inside.sum(axis=1), count),
        "interval_width": _divide(width.sum(axis=1), count),
    }


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, NaN where the denominator is zero."""
    quotient = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
