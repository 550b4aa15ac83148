"""What lists hold: coverage, popularity and novelty, counted by hand and by drawing."""

import numpy as np
import pytest

from cmml_tf.metrics.lists import Lists, mean_lists
from cmml_tf.metrics.tie_groups import sort_in_tie_groups


def _metrics(scores, takers, k, rankings=None, valid=None):
    lists = Lists(k, np.array(takers), rankings or len(scores))
    lists.add(sort_in_tie_groups(np.array(scores, float)), valid)
    return lists.metrics()


def test_two_lists_by_hand():
    # Of four items the lists have {0, 1} and {0, 2}; the takers are 2, 1, 0 and 1 of two rankings.
    found = _metrics([[4, 3, 2, 1], [4, 1, 3, 2]], [2, 1, 0, 1], 2)
    bits = -np.log2([3 / 3, 2 / 3, 1 / 3, 2 / 3])
    assert found == {
        "coverage@2": 0.75,
        "popularity@2": pytest.approx((1 + 0.5 + 1 + 0) / 4),
        "novelty@2": pytest.approx((bits[0] + bits[1] + bits[0] + bits[2]) / 4),
        "coverage_taken": 0.75,
        "popularity_taken": pytest.approx((2 * 1 + 0.5 + 0.5) / 4),
        "novelty_taken": pytest.approx((2 * bits[0] + bits[1] + bits[3]) / 4),
    }


def test_equal_scores_are_a_random_order():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 3, (5, 12)).astype(float)
    takers = rng.integers(0, 6, 12)
    drawn = []
    for _ in range(4000):
        order = np.argsort(-scores + rng.uniform(0, 0.5, scores.shape), axis=1)[:, :4]
        drawn.append((len(np.unique(order)) / 12, takers[order].mean() / 5))
    coverage, popularity = np.mean(drawn, axis=0)
    found = _metrics(scores, takers, 4)
    assert found["coverage@4"] == pytest.approx(coverage, abs=0.01)
    assert found["popularity@4"] == pytest.approx(popularity, abs=0.01)


def test_more_places_than_candidates_and_items_that_are_never_listed():
    whole = _metrics([[1.0, 2.0]], [1, 0], 10)
    assert (whole["coverage@10"], whole["popularity@10"]) == (1.0, 0.5)
    hidden = _metrics([[1.0, 2.0, 0.0]], [1, 0, 0], 2, valid=np.array([[True, False, True]]))
    assert (hidden["coverage@2"], hidden["popularity@2"]) == (pytest.approx(1 / 3), 1.0)


def test_nothing_to_be_found_is_not_a_number_and_left_out_of_means():
    nothing = _metrics([[1.0, 2.0]], [0, 0], 1)
    assert np.isnan(nothing["popularity_taken"])
    mean = mean_lists([nothing, _metrics([[1.0, 2.0]], [0, 1], 1)])
    assert mean["popularity_taken"] == 1.0
    assert mean["popularity@1"] == 0.5
