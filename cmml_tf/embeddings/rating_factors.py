"""Biased matrix factorisation of ratings: what item ids start from in the user setting."""

from typing import NamedTuple

import numpy as np

from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks


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
    for _ in range(sweeps):
        user_side = _solve(users, len(tasks), residual, item_side[tasks.item], penalties)
        item_side = _solve(tasks.item, items, residual, user_side[users], penalties)
    return RatingFactors(
        mean, item_side[:, 0].astype(np.float32), item_side[:, 1:].astype(np.float32)
    )


def _solve(
    group: np.ndarray, groups: int, residual: np.ndarray, other: np.ndarray, penalties: np.ndarray
) -> np.ndarray:
    """Ridge regression of each group's ratings on [1, factors of the other side]."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(groups + 1))
    solution = np.zeros([groups, len(penalties)])
    for place in range(groups):
        rows = order[starts[place] : starts[place + 1]]
        if len(rows):
            x = np.concatenate([np.ones([len(rows), 1]), other[rows, 1:]], axis=1)
            y = residual[rows] - other[rows, 0]
            solution[place] = np.linalg.solve(x.T @ x + np.diag(penalties), x.T @ y)
    return solution
