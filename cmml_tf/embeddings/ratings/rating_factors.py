"""Biased matrix factorisation of ratings: what item ids start from in the user setting."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.types import starts_of

_TOGETHER = 1 << 14
"""Ratings that regressions are solved of at once, if those of one are not more."""


class RatingFactors(NamedTuple):
    """rating = mean + user offset + item offset + <user factors, item factors>.

    Attributes:
      mean: Of all ratings.
      offset: float32 [I].
      factors: float32 [I, k]. Items without a rating have zeros in both.
    """

    mean: float
    offset: np.ndarray
    factors: np.ndarray


def fit_rating_factors(
    tasks: RatingTasks,
    items: int,
    k: int,
    penalty: float,
    offset_penalty: float,
    sweeps: int,
    seed: int,
) -> RatingFactors:
    """Alternating least squares over the meta-training users' ratings.

    Args:
      tasks: Meta-training users.
      items: Items I of the catalogue.
      k: Factors.
      penalty: L2 factor of each user's and item's factors.
      offset_penalty: L2 factor of each offset.
      sweeps: Of users, then items.
      seed: Fixes the first factors.
    """
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(len(tasks)), tasks.lengths)
    mean = float(tasks.rating.mean())
    residual = tasks.rating.astype(np.float64) - mean
    penalties = np.array([offset_penalty] + [penalty] * k)
    item_side = np.zeros([items, k + 1])  # offset, factors
    item_side[:, 1:] = rng.normal(scale=0.1, size=[items, k])
    of_users, of_items = _groups(users, len(tasks)), _groups(tasks.item, items)
    for _ in range(sweeps):
        user_side = _solve(of_users, len(tasks), residual, item_side, tasks.item, penalties)
        item_side = _solve(of_items, items, residual, user_side, users, penalties)
    return RatingFactors(
        mean, item_side[:, 0].astype(np.float32), item_side[:, 1:].astype(np.float32)
    )


class _Groups(NamedTuple):
    """Users, or items, that have equally many ratings.

    Attributes:
      row: int64 [N].
      rating: int64 [N, L], places of their ratings.
    """

    row: np.ndarray
    rating: np.ndarray


def _groups(row_of: np.ndarray, rows: int) -> list[_Groups]:
    """All rows that have a rating; `row_of` is int [R], each rating's row."""
    order = np.argsort(row_of, kind="stable")
    counts = np.bincount(row_of, minlength=rows)
    starts = starts_of(counts)
    found = []
    for length in np.unique(counts[counts > 0]).tolist():
        alike, each = np.flatnonzero(counts == length), max(1, _TOGETHER // length)
        for row in np.split(alike, range(each, len(alike), each)):
            found.append(_Groups(row, order[starts[row, None] + np.arange(length)]))
    return found


def _solve(
    groups: Sequence[_Groups],
    rows: int,
    residual: np.ndarray,
    other: np.ndarray,
    other_of: np.ndarray,
    penalties: np.ndarray,
) -> np.ndarray:
    """Ridge regression of each row's ratings on [1, factors of the other side], float64.

    Args:
      groups: Of this side, which has so many `rows`.
      residual: [R].
      other: [_, 1 + k], offset and factors of the other side.
      other_of: int [R], each rating's row of it.
      penalties: [1 + k].
    """
    solution = np.zeros([rows, len(penalties)])
    for row, rating in groups:
        x = other[other_of[rating]]  # [N, L, 1 + k]
        y = residual[rating] - x[:, :, 0]
        x[:, :, 0] = 1.0
        across = x.transpose(0, 2, 1)
        gram = across @ x + np.diag(penalties)
        solution[row] = np.linalg.solve(gram, across @ y[:, :, None])[:, :, 0]
    return solution
