"""Rating metrics: known values, ties as expectations over orders, undefined rows, bad input."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmml_tf.metrics.rating import rating_metrics


def ndcg(ratings, k):
    """Graded NDCG of ratings in ranked order."""

    def value(ordered):
        return sum((2**r - 1) / math.log2(rank + 2) for rank, r in enumerate(ordered[:k]))

    return value(ratings) / value(sorted(ratings, reverse=True))


def test_values_by_hand():
    metrics = rating_metrics(
        np.array([[4.0, 3.5, 1.0, 2.0]]), np.array([[3.0, 5.0, 1.0, 4.0]]), ks=(1, 3)
    )
    assert metrics["mae"][0] == pytest.approx((1 + 1.5 + 0 + 2) / 4)
    assert metrics["ndcg@1"][0] == pytest.approx(7 / 31)
    gained = 7 + 31 / math.log2(3) + 15 / 2
    ideal = 31 + 15 / math.log2(3) + 7 / 2
    assert metrics["ndcg@3"][0] == pytest.approx(gained / ideal)


def test_each_user_counts_the_same():
    scores, rating = np.zeros((2, 4)), np.array([[2.0, 0, 0, 0], [1.0, 1.0, 1.0, 1.0]])
    valid = np.array([[True, False, False, False], [True] * 4])
    assert rating_metrics(scores, rating, valid=valid)["mae"].mean() == pytest.approx(1.5)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda size: st.tuples(
            st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=size, max_size=size),
            st.lists(st.integers(1, 5), min_size=size, max_size=size),
        )
    )
)
def test_ties_are_the_expectation_over_orders(row):
    scores, rating = row
    orders = list(itertools.permutations(range(len(scores))))
    for k in (1, 3, 8):
        values = [
            ndcg([rating[i] for i in sorted(order, key=lambda i: -scores[i])], k)
            for order in orders
        ]
        metrics = rating_metrics(np.array([scores]), np.array([rating]), ks=(k,))
        assert metrics[f"ndcg@{k}"][0] == pytest.approx(np.mean(values))


def test_padding_is_never_read():
    expected = rating_metrics(np.array([[1.0, 2.0]]), np.array([[5.0, 3.0]]))
    padded = rating_metrics(
        np.array([[np.nan, 1.0, np.inf, 2.0]]),
        np.array([[np.nan, 5.0, -1.0, 3.0]]),
        valid=np.array([[False, True, False, True]]),
    )
    for name, values in expected.items():
        np.testing.assert_allclose(padded[name], values, err_msg=name)


def test_undefined_rows_are_nan():
    scores, rating = np.ones((2, 2)), np.zeros((2, 2))
    metrics = rating_metrics(scores, rating, valid=np.array([[False, False], [True, True]]))
    assert np.isnan(metrics["mae"][0])
    assert metrics["mae"][1] == 1.0
    assert np.isnan(metrics["ndcg@3"]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": np.array([[np.nan, 1.0]])}, "`scores` must not be NaN"),
        ({"rating": np.array([[1.0, np.nan]])}, "`rating` must be finite and not negative.*nan"),
        ({"rating": np.array([[1.0, -1.0]])}, "`rating` must be finite and not negative.*-1"),
        ({"rating": np.array([1.0, 2.0])}, r"`rating` must hold real numbers of shape \(1, 2\)"),
        ({"ks": (True,)}, "`ks` must hold positive integers"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"scores": np.zeros((1, 2)), "rating": np.ones((1, 2))} | changes
    with pytest.raises(ValueError, match=message):
        rating_metrics(**arguments)
