"""Dot product, ItemPop with it, item-kNN and ALS fold-in against loops in NumPy."""

import numpy as np
import pytest

from cmml_tf.baselines.simple.als_fold_in import AlsFoldIn
from cmml_tf.baselines.simple.clicks import Clicks
from cmml_tf.baselines.simple.dot import Dot, ItemPopDot
from cmml_tf.baselines.simple.item_knn import ItemKnn, Overlaps
from cmml_tf.baselines.simple.item_pop import Chance
from cmml_tf.baselines.simple.known_log import KnownLog
from cmml_tf.types import Support

USERS, ITEMS, D = 12, 15, 4
RNG = np.random.default_rng(0)
PAIRS = np.unique(RNG.integers(0, [USERS - 2, ITEMS - 3], (60, 2)), axis=0)
# The last two users and three items are in no pair and have no embedding.
USER = RNG.normal(size=(USERS, D)) * (np.arange(USERS) < USERS - 2)[:, None]
ITEM = RNG.normal(size=(ITEMS, D)) * (np.arange(ITEMS) < ITEMS - 3)[:, None]
LOG = KnownLog.of(*PAIRS.T, USER.astype(np.float32), ITEM.astype(np.float32))
TAKEN = np.zeros((USERS, ITEMS))
TAKEN[tuple(PAIRS.T)] = 1
CLICKS = Clicks(np.array([0, 3, 3, 11, 5, 0]), np.array([13, 13, 2, 13, 14, 99]))
ASKED, CANDIDATES = np.array([1, 4, 11]), np.array([2, 6, 13, 14, 12])


def _vectors(table, rows):
    return np.array([table[row] if row < len(table) else np.zeros(D) for row in rows])


def _dot(users, items):
    return _vectors(USER, users) @ _vectors(ITEM, items).T


def test_counts_are_of_the_candidates():
    assert CLICKS.counts(CANDIDATES).tolist() == [1, 0, 3, 1, 0]
    empty = Clicks(np.zeros(0, int), np.zeros(0, int))
    assert empty.counts(CANDIDATES).tolist() == [0] * 5


def test_dot_is_the_product_of_the_embeddings_and_zero_of_what_nobody_knows():
    scores = Dot(LOG).grid(CLICKS, np.array([1, 11, 400]), np.array([2, 14, 99]))
    np.testing.assert_allclose(scores, _dot([1, 11, 400], [2, 14, 99]), rtol=1e-6)
    assert np.count_nonzero(scores) == 1
    assert not Dot(LOG).reads_support
    assert not Chance().reads_support


def test_counts_and_the_product_are_added_in_units_of_a_known_click():
    click = np.mean(np.sum(USER[PAIRS[:, 0]] * ITEM[PAIRS[:, 1]], axis=1))
    assert LOG.click == pytest.approx(click if click > 0 else 1.0)
    scores = ItemPopDot(LOG, 0.5).grid(CLICKS, ASKED, CANDIDATES)
    counted = 0.5 * LOG.click * np.log([2, 1, 4, 2, 1])
    np.testing.assert_allclose(scores, _dot(ASKED, CANDIDATES) + counted, rtol=1e-6)


def test_item_knn_sums_shrunken_cosines_with_the_takers_of_log_and_support():
    shrinkage, popularity = 3.0, 0.5
    scores = ItemKnn(Overlaps(LOG, shrinkage), popularity).grid(CLICKS, ASKED, CANDIDATES)
    takers = TAKEN.sum(axis=0)
    for row, user in enumerate(ASKED):
        for column, item in enumerate(CANDIDATES):
            here = {u for u, i in zip(*CLICKS, strict=True) if i == item}
            total = 0.0
            for other in np.flatnonzero(TAKEN[user]):
                both = TAKEN[:, item] @ TAKEN[:, other]
                both += sum(TAKEN[u, other] for u in here)
                total += both / np.sqrt(takers[other] + shrinkage)
            count = np.sum(CLICKS.items == item)
            expected = total * (takers[item] + count + shrinkage) ** -popularity
            assert scores[row, column] == pytest.approx(expected, rel=1e-5, abs=1e-7)
    # A user whom nobody knows has the items by count.
    assert np.argsort(-scores[2], kind="stable")[0] == 2
    empty = Clicks(CLICKS.users[:0], CLICKS.items[:0])
    again = ItemKnn(Overlaps(LOG, shrinkage), popularity).grid(empty, ASKED[:2], CANDIDATES)
    assert again[:, 2:].max() == 0


def test_als_solves_each_item_of_the_support_and_leaves_the_others():
    penalty, alpha = 2.0, 5.0
    scores = AlsFoldIn(LOG, penalty, alpha).grid(CLICKS, ASKED, CANDIDATES)
    mean = USER[: USERS - 2].mean(axis=0)

    def user(row):
        return USER[row] if USER[row].any() else mean

    gram = sum(np.outer(user(u), user(u)) for u in np.unique(CLICKS.users))
    vectors = _vectors(ITEM, CANDIDATES)
    for column, item in enumerate(CANDIDATES):
        own = [user(u) for u, i in zip(*CLICKS, strict=True) if i == item]
        if own:
            left = gram + penalty * np.eye(D) + alpha * sum(np.outer(u, u) for u in own)
            right = (1 + alpha) * LOG.click * np.sum(own, axis=0) + penalty * vectors[column]
            vectors[column] = np.linalg.solve(left, right)
    expected = np.array([user(u) for u in ASKED]) @ vectors.T
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    held = AlsFoldIn(LOG, 1e9, alpha).grid(CLICKS, ASKED[:2], CANDIDATES)
    np.testing.assert_allclose(held, _dot(ASKED[:2], CANDIDATES), atol=1e-5)


@pytest.mark.parametrize(
    "system",
    [ItemPopDot(LOG, 0.5), ItemKnn(Overlaps(LOG, 1.0), 0.5), AlsFoldIn(LOG, 1.0, 2.0), Dot(LOG)],
)
def test_pairs_are_scored_as_in_the_grid_of_their_task(system):
    user, item = np.array([CLICKS.users, CLICKS.users[::-1]]), np.tile(CLICKS.items, (2, 1))
    label = np.float32([[1, 1, 1, 1, 1, 0], [1, 0, 0, 1, 1, 1]])
    adapted = system.adapt(Support(user, item, label, np.array([6, 4])))
    assert adapted[0].users.tolist() == CLICKS.users[:5].tolist()
    assert adapted[1].items.tolist() == [13, 13]
    asked = np.array([[1, 4, 1], [11, 4, 4]]), np.array([[2, 2, 14], [13, 6, 6]])
    scores = system.score(adapted, *asked)
    assert scores.shape == (2, 3)
    for row, clicks in enumerate(adapted):
        for column in range(3):
            one = asked[0][row, column : column + 1], asked[1][row, column : column + 1]
            assert scores[row, column] == pytest.approx(
                system.grid(clicks, *one)[0, 0], rel=1e-4, abs=1e-6
            )
