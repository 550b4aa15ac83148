"""Factors of ratings against regressions in loops."""

import numpy as np

from cmml_tf.datasets.tasks.users.rating_tasks import all_ratings
from cmml_tf.embeddings.ratings.rating_factors import fit_rating_factors

USERS, ITEMS, K = 40, 25, 3
PENALTY, OFFSET_PENALTY = 2.0, 0.5


def _side(rows, row_of, other_of, other, residual):
    found = np.zeros((rows, K + 1))
    for row in set(row_of.tolist()):
        own = row_of == row
        x = np.concatenate([np.ones((own.sum(), 1)), other[other_of[own], 1:]], axis=1)
        y = residual[own] - other[other_of[own], 0]
        penalties = np.diag([OFFSET_PENALTY, *[PENALTY] * K])
        found[row] = np.linalg.solve(x.T @ x + penalties, x.T @ y)
    return found


def test_each_user_and_then_each_item_is_a_ridge_regression_on_the_other_side():
    rng = np.random.default_rng(0)
    codes = np.sort(rng.permutation(USERS * (ITEMS - 1))[:300])  # nobody rated the last item
    user, item = np.divmod(codes, ITEMS - 1)
    rating = rng.integers(1, 6, 300).astype(float)
    tasks = all_ratings(user, item, rating, without=np.array([7]))
    found = fit_rating_factors(tasks, ITEMS, K, PENALTY, OFFSET_PENALTY, sweeps=3, seed=5)

    user_of = np.repeat(np.arange(len(tasks)), tasks.lengths)
    residual = tasks.rating - tasks.rating.mean(dtype=float)
    items = np.zeros((ITEMS, K + 1))
    items[:, 1:] = np.random.default_rng(5).normal(scale=0.1, size=(ITEMS, K))
    for _ in range(3):
        users = _side(len(tasks), user_of, tasks.item, items, residual)
        items = _side(ITEMS, tasks.item, user_of, users, residual)
    np.testing.assert_allclose(found.offset, items[:, 0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.factors, items[:, 1:], rtol=1e-4, atol=1e-6)
    assert not found.factors[-1].any()
