"""Item-item tables are what their formulas say, written as loops; the fit reads nobody else."""

import numpy as np
import pytest

from cmml_tf.datasets.tasks.users.taken_items import TakenItems
from cmml_tf.embeddings.item_tables import Gram, Weighting, fit_item_tables

LISTS = [[0, 1, 2], [0, 2], [1, 2, 3, 0], [3], [0, 1, 3, 2, 4]]
ITEMS, TABLE = 5, 4
DROPOUTS, SHRINKAGES = (0.0, 0.5), (0.0, 3.0)


def taken(lists):
    return TakenItems.joined(np.arange(len(lists)), [np.array(one) for one in lists])


def reference(lists, weighting):
    """float64 [M, K, M] from the definitions alone."""
    x = np.array([[item in one for item in range(TABLE)] for one in lists], float)
    w = np.array([len(one) ** -weighting.user_power for one in lists])
    w /= w.mean()
    counts, weighted = x.T @ x, x.T @ (w[:, None] * x)
    tables = []
    for p in DROPOUTS:
        extra = weighting.penalty + 1e-3 + p / (1 - p) * np.diag(weighted)
        inverse = np.linalg.inv(weighted + np.diag(extra))
        tables.append([[-inverse[i, j] / inverse[j, j] for j in range(4)] for i in range(4)])
    recipes = [(counts, s, 0.5) for s in SHRINKAGES] + [(counts, 30, 0.7), (weighted, 30, 0.5)]
    for c, s, power in recipes:
        times = np.diag(c)
        tables.append(
            [[c[i, j] / (times[i] ** power * times[j] ** (1 - power) + s) for j in range(4)]
             for i in range(4)]
        )  # fmt: skip
    tables = np.array(tables)
    tables[:, range(4), range(4)] = 0
    return tables.transpose(1, 0, 2)


def fit(lists, weighting):
    first, second = taken(lists[:2]), taken(lists[2:])  # what groups of users add up to
    power = weighting.user_power
    counts, weighted = (
        Gram.of(first, TABLE, one).plus(Gram.of(second, TABLE, one)) for one in (0.0, power)
    )
    times = np.bincount([*first.item, *second.item], minlength=ITEMS)
    options = (times, DROPOUTS, SHRINKAGES, weighting.penalty)
    return fit_item_tables(counts.matrix, weighted.normalised, *options)


@pytest.mark.parametrize("weighting", [Weighting(0.0, 2.0), Weighting(0.6, 30.0)])
def test_tables_are_their_formulas(weighting):
    fitted = fit(LISTS, weighting)
    np.testing.assert_allclose(
        fitted.rows.read(), reference(LISTS, weighting), rtol=1e-4, atol=1e-6
    )
    logs = np.log1p([sum(item in one for one in LISTS) for item in range(ITEMS)])
    wanted = (logs - logs.mean()) / logs.std()
    np.testing.assert_allclose(fitted.popularity, wanted, rtol=1e-5)
