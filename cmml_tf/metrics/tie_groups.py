"""What a ranking is worth when some scores are equal: nothing may depend on the order of input.

Candidates with equal scores share their positions: each metric is its expectation over a uniformly
random order within such a group. A system that gives every candidate the same score is then worth
what chance is worth, wherever the caller put the positives.
"""

from typing import NamedTuple

import numpy as np


class TieGroups(NamedTuple):
    """Rows of candidates, best first, and the group of equal scores around each position.

    Attributes:
      order: int64 [R, C], the candidate at each position; candidates that are not valid come last.
      start: int64 [R, C], first position of the group at each position.
      end: int64 [R, C], the position after the last one of that group.
    """

    order: np.ndarray
    start: np.ndarray
    end: np.ndarray


def sort_in_tie_groups(scores: np.ndarray, valid: np.ndarray | None = None) -> TieGroups:
    """Sorts rows of scores [R, C], highest first, and marks groups of equal scores.

    Args:
      scores: float [R, C].
      valid: bool [R, C] or None for all; the scores of other candidates are never read.

    Raises:
      ValueError: A valid score is NaN.
    """
    key = -np.asarray(scores, np.float64)
    if valid is not None:
        key = np.where(valid, key, np.inf)
    if np.isnan(key).any():
        row, candidate = np.argwhere(np.isnan(key))[0]
        raise ValueError(
            "`scores` must not be NaN: such a candidate has no rank. "
            f"Received: NaN at row {row}, candidate {candidate}."
        )
    # Behind the score, the mask: a valid candidate of score -inf still precedes padding.
    order = np.argsort(key, axis=1) if valid is None else np.lexsort((key, ~valid), axis=1)
    sorted_key = np.take_along_axis(key, order, axis=1)
    rows, candidates = key.shape
    is_start = np.ones((rows, candidates), bool)
    is_start[:, 1:] = sorted_key[:, 1:] != sorted_key[:, :-1]
    if valid is not None:
        sorted_valid = np.take_along_axis(valid, order, axis=1)
        is_start[:, 1:] |= sorted_valid[:, 1:] != sorted_valid[:, :-1]
    position = np.arange(candidates)
    if is_start.all():
        whole = (rows, candidates)
        start, end = (np.broadcast_to(one, whole) for one in (position, position + 1))
        return TieGroups(order, start, end)
    # One entry a group, as often repeated as it has places.
    first = np.flatnonzero(is_start)
    size = np.diff(first, append=rows * candidates)
    start = first % candidates
    start, end = (np.repeat(one, size).reshape(rows, candidates) for one in (start, start + size))
    return TieGroups(order, start, end)


def best_in_tie_groups(scores: np.ndarray, k: int) -> TieGroups:
    """The same of the first W positions alone, which is faster where k is far below C.

    W is k and as far as any row's group reaches that position k - 1 falls into; groups that begin
    behind position k may be cut.

    Args:
      scores: float [R, C].
      k: Positions that count.

    Raises:
      ValueError: A score is NaN.
    """
    scores = np.asarray(scores)
    rows, candidates = scores.shape
    if k >= candidates or not rows or np.isnan(scores).any():
        return sort_in_tie_groups(scores)
    key = -scores
    last = np.partition(key, k - 1, axis=1)[:, k - 1 : k]
    width = int((key <= last).sum(axis=1).max())
    if width == candidates:
        return sort_in_tie_groups(scores)
    best = np.argpartition(key, width - 1, axis=1)[:, :width]
    groups = sort_in_tie_groups(np.take_along_axis(scores, best, axis=1))
    return groups._replace(order=np.take_along_axis(best, groups.order, axis=1))


def cumulative_discount(size: int) -> np.ndarray:
    """float64 [size + 1]: sums of the first 0 .. size discounts 1 / log2(1 + rank)."""
    return np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(size) + 2.0))])


def expected_discount(
    start: np.ndarray, end: np.ndarray, k: int | np.ndarray, cumulative: np.ndarray
) -> np.ndarray:
    """Expected discount, cut at k, of a candidate whose position is uniform in [start, end).

    Cut-offs may be an array; all three broadcast.
    """
    inside = cumulative[np.minimum(end, k)] - cumulative[np.minimum(start, k)]
    return inside / (end - start)
