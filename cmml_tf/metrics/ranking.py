"""Recall, NDCG and MRR of ranked candidates, row by row (paper section 4, implicit feedback).

Equal scores share their positions, see `tie_groups`. NumPy only; a row is one (scenario, user).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from cmml_tf.metrics.inputs import as_mask, as_matrix, check_cutoffs
from cmml_tf.metrics.tie_groups import (
    TieGroups,
    cumulative_discount,
    expected_discount,
    sort_in_tie_groups,
)

CUTOFFS = (1, 3, 5, 10, 20, 50, 100)


def ranking_metrics(
    scores: np.ndarray,
    relevant: np.ndarray,
    ks: Sequence[int] = CUTOFFS,
    valid: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Recall@k, NDCG@k and MRR of each row.

    - Recall@k: relevant candidates among the first k, divided by ALL relevant candidates of the row
      (as the paper does; other libraries divide by min(k, relevant)). Recall@1 of a user with four
      relevant items is 0.25 at the most.
    - NDCG@k: gain 1 for a relevant candidate, discount 1 / log2(1 + rank), divided by the value of
      a ranking with all relevant candidates in front, cut at k as well.
    - MRR: one over the rank of the first relevant candidate.

    Each is the exact expectation over a uniformly random order of candidates with equal scores.
    A row without a relevant candidate is undefined: NaN, not 0; average with `numpy.nanmean`.

    Example:

      >>> ranking_metrics(np.array([[3.0, 2.0, 1.0]]), np.array([[False, True, True]]), ks=[2])
      {'recall@2': array([0.5]), 'ndcg@2': array([0.38685281]), 'mrr': array([0.5])}

    Args:
      scores: float [R, C], higher is better; infinite scores are allowed.
      relevant: bool [R, C].
      ks: Cut-offs; one beyond C takes all candidates.
      valid: bool [R, C], which candidates there are (rows of different length are padded); None:
        all. What lies outside is never read, neither its score nor its relevance.

    Returns:
      float64 [R] for each name: `recall@<k>` and `ndcg@<k>` for each of `ks`, and `mrr`.

    Raises:
      ValueError: Shapes or types do not fit, a cut-off is not positive, or a valid score is NaN.
    """
    scores = as_matrix("scores", scores)
    relevant = as_mask("relevant", relevant, scores.shape)
    if valid is not None:
        valid = as_mask("valid", valid, scores.shape)
        relevant = relevant & valid
    check_cutoffs(ks)
    return metrics_of_ranking(sort_in_tie_groups(scores, valid), relevant, ks)


def metrics_of_ranking(
    groups: TieGroups, relevant: np.ndarray, ks: Sequence[int] = CUTOFFS
) -> dict[str, np.ndarray]:
    """As `ranking_metrics`, of candidates that are sorted already: for several questions of one.

    Args:
      groups: Of `sort_in_tie_groups`, or of `best_in_tie_groups` for the largest of `ks`, with
        which there is no `mrr`.
      relevant: bool [R, C], in the order of the candidates before sorting; valid ones only.
      ks: Cut-offs.
    """
    rows, candidates = relevant.shape
    whole = groups.order.shape[1] == candidates
    # One entry a relevant candidate: its row and the group it lies in.
    row, position = np.nonzero(np.take_along_axis(relevant, groups.order, axis=1))
    start, end = groups.start[row, position], groups.end[row, position]
    count = relevant.sum(axis=1)
    undefined = np.where(count > 0, 0.0, np.nan)
    cumulative = cumulative_discount(candidates)

    # All cut-offs at once: of the relevant candidates of a row a sum each.
    cut = np.asarray(ks)[:, None]
    of_row = (np.arange(len(ks))[:, None] * rows + row).ravel()

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(of_row, values.ravel(), len(ks) * rows).reshape(len(ks), rows)

    inside = np.clip(cut - start, 0, end - start) / (end - start)
    recall = undefined + sums(inside) / np.maximum(count, 1)
    ideal = cumulative[np.minimum(np.maximum(count, 1), cut)]
    ndcg = undefined + sums(expected_discount(start, end, cut, cumulative)) / ideal
    metrics = {f"recall@{k}": one for k, one in zip(ks, recall, strict=True)}
    metrics |= {f"ndcg@{k}": one for k, one in zip(ks, ndcg, strict=True)}
    if whole:
        metrics["mrr"] = np.full(rows, np.nan)
        metrics["mrr"][count > 0] = _reciprocal_rank(row, start, end)
    return metrics


def _reciprocal_rank(row: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Expected 1 / rank of the first relevant candidate, for each distinct row.

    Only the first group with a relevant candidate matters.

    Args:
      row: int [P], the row of each relevant candidate, ascending; within a row, best first.
      start: int [P], the first position of its group.
      end: int [P], the position after its group.
    """
    is_first = np.ones(len(row), bool)
    is_first[1:] = row[1:] != row[:-1]
    first, row_of = np.flatnonzero(is_first), np.cumsum(is_first) - 1
    in_first_group = start == start[first][row_of]
    relevant = np.bincount(row_of[in_first_group], minlength=len(first))
    places, rank = (end - start)[first], start[first] + 1
    expectation = 1.0 / rank
    tied = places > relevant
    if tied.any():
        # Users who have the same popular items behind them share most of these: they are kept.
        cases = np.stack([places, relevant, rank], axis=1)[tied]
        expectation[tied] = [_expected_reciprocal_rank(*one) for one in cases.tolist()]
    return expectation


@lru_cache(maxsize=1 << 16)
def _expected_reciprocal_rank(places: int, relevant: int, rank: int) -> float:
    """Expected 1 / rank of the first of p relevant candidates at random among n places.

    It stands at place j with probability p / (n - j) * prod_{i<j} (n - p - i) / (n - i).

    Args:
      places: n.
      relevant: p, at least 1.
      rank: Of place 0.
    """
    left = np.arange(places, relevant - 1, -1)  # n - j
    none_yet = np.cumprod(np.concatenate([[1.0], 1.0 - relevant / left[:-1]]))
    return float(np.sum(none_yet * relevant / left / (rank + np.arange(len(left)))))
