"""What stands in for an item in no table is what its definition says, written as loops."""

import numpy as np
import pytest

from cmml_tf.datasets.tasks.users.taken_items import TakenItems
from cmml_tf.embeddings.stand_ins import StandIns, find_stand_ins

USERS, ITEMS, TABLE, NUMBER = 40, 60, 12, 3


def drawn():
    rng = np.random.default_rng(0)
    popular = 1.0 / np.arange(1, ITEMS + 1)
    lists = [
        np.sort(rng.choice(ITEMS, rng.integers(2, 9), replace=False, p=popular / popular.sum()))
        for _ in range(USERS)
    ]
    return lists, TakenItems.joined(np.arange(USERS), lists)


def reference(lists, item):
    """The table items and their shares, from the definition alone."""
    takers = [one for one in lists if item in one]
    if len(takers) < 2:
        return []
    scores = []
    for other in range(TABLE):
        together = sum(other in one for one in takers)
        if together:
            scores.append((-together / np.sqrt(sum(other in one for one in lists)), other))
    best = sorted(scores)[:NUMBER]
    return [(other, score / sum(s for s, _ in best)) for score, other in best]


@pytest.mark.parametrize("products", [1, 40, 2**24])
def test_it_is_read_as_what_its_takers_took_most_of_all(monkeypatch, products):
    monkeypatch.setattr("cmml_tf.embeddings.stand_ins._PRODUCTS_AT_A_TIME", products)
    lists, taken = drawn()
    found = find_stand_ins(taken, ITEMS, TABLE, NUMBER)
    wanted = [reference(lists, item) for item in range(TABLE, ITEMS)]
    assert {len(one) for one in wanted} >= {0, NUMBER}
    for items, shares, own in zip(found.item, found.share, wanted, strict=True):
        assert items[: len(own)].tolist() == [item for item, _ in own]
        np.testing.assert_allclose(shares[: len(own)], [share for _, share in own], rtol=1e-5)
        assert not shares[len(own) :].any()


def test_items_of_tasks_become_table_items():
    stand_ins = StandIns(
        np.int32([[2, 0], [3, 0], [0, 0]]), np.float32([[0.7, 0.3], [1, 0], [0, 0]])
    )
    item, task = np.int32([1, 4, 5, 6, 4]), np.int32([0, 0, 1, 1, 2])
    read = sorted(zip(*stand_ins.read_as(item, task, 4), strict=True))
    wanted = [(0, 0, 0.3), (0, 2, 0.3), (1, 0, 1), (2, 0, 0.7), (2, 2, 0.7), (3, 1, 1)]
    np.testing.assert_allclose(read, wanted, rtol=1e-6)


def test_further_items_have_none():
    _, taken = drawn()
    found = find_stand_ins(taken, ITEMS, TABLE, NUMBER)
    longer = found.followed_by(2)
    np.testing.assert_array_equal(longer.share[:-2], found.share)
    np.testing.assert_array_equal(longer.item[:-2], found.item)
    assert longer.item.shape == (ITEMS - TABLE + 2, NUMBER)
    assert not longer.share[-2:].any()
