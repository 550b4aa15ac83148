"""Neighbours and factors of ratings against loops in NumPy."""

import numpy as np
import pytest

from cmml_tf.baselines.simple_ratings.blend import Blend
from cmml_tf.baselines.simple_ratings.factors_fold_in import FactorsFoldIn
from cmml_tf.baselines.simple_ratings.item_knn import RatingItemKnn, Similarity
from cmml_tf.baselines.simple_ratings.means import ItemMeanAndUserBias, item_means
from cmml_tf.datasets.tasks.users.rating_tasks import all_ratings
from cmml_tf.types import Support

ITEMS = 8
RNG = np.random.default_rng(0)
CODES = np.sort(RNG.permutation(10 * (ITEMS - 1))[:40])  # nobody rated the last item
USER, ITEM = CODES // (ITEMS - 1), CODES % (ITEMS - 1)
RATING = RNG.integers(1, 6, 40).astype(np.float64)
TASKS = all_ratings(USER, ITEM, RATING, without=np.array([3]))
MEANS = item_means(TASKS, ITEMS)
SUPPORT = Support(
    np.zeros((2, 3), int),
    np.array([[0, 1, 4], [2, 7, 6]]),
    np.float32([[5, 4, 1], [2, 3, 9]]),
    np.array([3, 2]),
)
QUERY = np.array([[2, 6, 7], [0, 2, 5]])


def test_a_log_has_every_rating_of_all_but_those_who_are_asked():
    assert 3 not in TASKS.user
    kept = USER != 3
    np.testing.assert_array_equal(TASKS.item, ITEM[kept])
    np.testing.assert_array_equal(np.repeat(TASKS.user, TASKS.lengths), USER[kept])


def _similar(one, other, shrinkage):
    ratings, biases = {}, {}
    for user in TASKS.user:
        own = user == USER
        above = RATING[own] - MEANS.item[ITEM[own]]
        biases[user] = above.mean()
        ratings[user] = dict(zip(ITEM[own], above - biases[user], strict=True))
    both = [user for user in ratings if one in ratings[user] and other in ratings[user]]
    product = sum(ratings[user][one] * ratings[user][other] for user in both)
    length = [
        np.sqrt(sum(r[item] ** 2 for r in ratings.values() if item in r)) for item in (one, other)
    ]
    if not both or one == other:
        return 0.0
    return product / (length[0] * length[1]) * len(both) / (len(both) + shrinkage)


def test_neighbours_move_the_expected_rating_by_their_residuals():
    shrinkage, weight = 2.0, 0.5
    expected_of = ItemMeanAndUserBias(MEANS)
    bias = expected_of.adapt(SUPPORT)
    knn = RatingItemKnn(MEANS, Similarity.of(TASKS, MEANS), shrinkage, weight)
    predicted = knn.score(knn.adapt(SUPPORT), QUERY * 0, QUERY)
    for task in range(2):
        read = range(SUPPORT.length[task])
        for place, item in enumerate(QUERY[task]):
            similar = [_similar(item, SUPPORT.item[task, s], shrinkage) for s in read]
            above = [
                SUPPORT.label[task, s] - MEANS.item[SUPPORT.item[task, s]] - bias[task]
                for s in read
            ]
            moved = np.dot(similar, above) / (np.abs(similar).sum() + weight)
            expected = MEANS.item[item] + bias[task] + moved
            assert predicted[task, place] == pytest.approx(expected, rel=1e-5)
    nothing = SUPPORT._replace(length=np.zeros(2, int))
    np.testing.assert_allclose(
        knn.score(knn.adapt(nothing), QUERY * 0, QUERY), MEANS.item[QUERY], rtol=1e-6
    )


def test_each_item_has_the_nearest_neighbours_and_of_equal_ones_the_first():
    items, most = 450, 400
    ratings = np.random.default_rng(1).integers(1, 3, (5, items)) * 2.0  # many items are alike
    user, item = np.divmod(np.arange(ratings.size), items)
    tasks = all_ratings(user, item, ratings.ravel(), without=np.array([9]))
    similarity = Similarity.of(tasks, item_means(tasks, items))
    neighbours = (similarity.key % items).reshape(items, most)
    assert (np.diff(neighbours) > 0).all()
    above = ratings - item_means(tasks, items).item
    above -= above.mean(axis=1, keepdims=True)
    length = np.sqrt((above**2).sum(axis=0))
    near = np.abs(above.T @ above / (length * length[:, None]))
    kept = np.zeros((items, items), bool)
    np.put_along_axis(kept, neighbours, True, axis=1)
    least = np.where(kept, near, 2.0).min(axis=1)
    assert (least >= np.where(kept, -1.0, near).max(axis=1) - 1e-9).all()
    alike = (ratings[:, :, None] == ratings[:, None]).all(axis=0)  # [items, items]
    is_parted = alike & ((~kept).T.astype(int) @ kept > 0)  # the first left out, the second kept
    assert np.tril(is_parted).any()
    assert not np.triu(is_parted).any()


def test_a_new_users_factors_are_a_ridge_regression_and_two_systems_blend():
    offset, factors = RNG.normal(size=ITEMS), RNG.normal(size=(ITEMS, 3))
    system = FactorsFoldIn(3.5, offset, factors, penalty=2.0, offset_penalty=1.0)
    predicted = system.score(system.adapt(SUPPORT), QUERY * 0, QUERY)
    for task in range(2):
        items = SUPPORT.item[task, : SUPPORT.length[task]]
        x = np.concatenate([np.ones((len(items), 1)), factors[items]], axis=1)
        y = SUPPORT.label[task, : len(items)] - 3.5 - offset[items]
        w = np.linalg.solve(x.T @ x + np.diag([1.0, 2.0, 2.0, 2.0]), x.T @ y)
        expected = 3.5 + offset[QUERY[task]] + w[0] + factors[QUERY[task]] @ w[1:]
        np.testing.assert_allclose(predicted[task], expected)
    other = ItemMeanAndUserBias(MEANS)
    blend = Blend(system, other, 0.25)
    mixed = blend.score(blend.adapt(SUPPORT), QUERY * 0, QUERY)
    second = other.score(other.adapt(SUPPORT), QUERY * 0, QUERY)
    np.testing.assert_allclose(mixed, 0.25 * predicted + 0.75 * second)
