"""Ranking metrics: known values, ties as expectations over orders, undefined rows, bad input."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmml_tf.metrics.lists import Lists
from cmml_tf.metrics.ranking import CUTOFFS, metrics_of_ranking, ranking_metrics
from cmml_tf.metrics.tie_groups import best_in_tie_groups, sort_in_tie_groups


def metrics_of_order(relevant, ks):
    """The textbook definitions for one ranking without ties, best first."""
    values = {}
    for k in ks:
        values[f"recall@{k}"] = sum(relevant[:k]) / sum(relevant)
        gained = sum(r / math.log2(rank + 2) for rank, r in enumerate(relevant[:k]))
        ideal = sum(1 / math.log2(rank + 2) for rank in range(min(k, sum(relevant))))
        values[f"ndcg@{k}"] = gained / ideal
    values["mrr"] = 1 / (relevant.index(True) + 1)
    return values


def expectation_over_orders(scores, relevant, ks):
    """Mean over every permutation of the candidates, each sorted by score."""
    results = []
    for order in itertools.permutations(range(len(scores))):
        ranked = sorted(order, key=lambda candidate: -scores[candidate])
        results.append(metrics_of_order([relevant[candidate] for candidate in ranked], ks))
    return {name: np.mean([result[name] for result in results]) for name in results[0]}


def test_values_by_hand():
    metrics = ranking_metrics(
        np.array([[0.9, 0.8, 0.7, 0.6]]), np.array([[False, True, False, True]]), ks=(1, 2, 4)
    )
    second, fourth = 1 / math.log2(3), 1 / math.log2(5)
    expected = {
        "recall@1": 0.0,
        "recall@2": 0.5,
        "recall@4": 1.0,
        "ndcg@1": 0.0,
        "ndcg@2": second / (1 + 1 / math.log2(3)),
        "ndcg@4": (second + fourth) / (1 + 1 / math.log2(3)),
        "mrr": 0.5,
    }
    assert {name: values[0] for name, values in metrics.items()} == pytest.approx(expected)


def test_recall_divides_by_all_relevant_items():
    scores, relevant = np.array([[4.0, 3.0, 2.0, 1.0]]), np.array([[True, True, True, True]])
    assert ranking_metrics(scores, relevant, ks=(1,))["recall@1"] == pytest.approx(0.25)
    assert ranking_metrics(scores, relevant, ks=(1,))["ndcg@1"] == pytest.approx(1.0)


def test_a_constant_score_is_worth_chance_wherever_the_positive_stands():
    relevant = np.eye(10, dtype=bool)
    metrics = ranking_metrics(np.zeros((10, 10)), relevant, ks=(1, 3))
    np.testing.assert_allclose(metrics["recall@1"], 0.1)
    np.testing.assert_allclose(metrics["recall@3"], 0.3)
    np.testing.assert_allclose(metrics["mrr"], sum(1 / rank for rank in range(1, 11)) / 10)


rows = st.integers(1, 6).flatmap(
    lambda size: st.tuples(
        st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.5, math.inf]), min_size=size, max_size=size),
        st.lists(st.booleans(), min_size=size, max_size=size).filter(any),
    )
)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_ties_are_the_expectation_over_orders(row):
    scores, relevant = row
    ks = (1, 2, 3, 6, 9)
    metrics = ranking_metrics(np.array([scores]), np.array([relevant]), ks=ks)
    expected = expectation_over_orders(scores, relevant, ks)
    assert {name: values[0] for name, values in metrics.items()} == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_of_candidates_rows_and_padding_change_nothing(seed):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 5, (7, 12)).astype(np.float32)
    relevant = generator.random((7, 12)) < 0.3
    expected = ranking_metrics(scores, relevant)

    order, row_order = generator.permutation(12), generator.permutation(7)
    moved = ranking_metrics(scores[row_order][:, order], relevant[row_order][:, order])
    padding = generator.permutation(20)
    padded = ranking_metrics(
        np.concatenate([scores, np.full((7, 8), np.nan)], axis=1)[:, padding],
        np.concatenate([relevant, np.ones((7, 8), bool)], axis=1)[:, padding],
        valid=np.broadcast_to(np.arange(20) < 12, (7, 20))[:, padding],
    )
    for name, values in expected.items():
        np.testing.assert_allclose(moved[name], values[row_order], err_msg=name)
        np.testing.assert_allclose(padded[name], values, err_msg=name)


def test_large_tie_groups_agree_with_simulation():
    generator = np.random.default_rng(0)
    scores = np.repeat([[2.0, 1.0, 0.0]], [10, 150, 140], axis=1)
    relevant = np.zeros((1, 300), bool)
    relevant[0, [20, 40, 60, 299]] = True
    exact = ranking_metrics(scores, relevant, ks=(50,))
    broken_ties = np.broadcast_to(scores, (4000, 300)) + 0.5 * generator.random((4000, 300))
    drawn = ranking_metrics(broken_ties, np.broadcast_to(relevant, (4000, 300)), ks=(50,))
    for name, values in drawn.items():
        error = values.std() / np.sqrt(len(values))
        assert abs(exact[name][0] - values.mean()) < 4 * error, name


def test_a_worst_score_still_precedes_padding():
    metrics = ranking_metrics(
        np.array([[0.0, -np.inf, -np.inf]]),
        np.array([[False, False, True]]),
        ks=(2,),
        valid=np.array([[True, False, True]]),
    )
    assert metrics["recall@2"][0] == 1.0
    assert metrics["mrr"][0] == 0.5


def test_a_row_without_relevant_candidates_is_undefined():
    scores = np.ones((2, 3))
    relevant = np.array([[False, False, False], [True, False, False]])
    for name, values in ranking_metrics(scores, relevant).items():
        assert np.isnan(values[0]), name
        assert np.isfinite(values[1]), name
    only_padding = ranking_metrics(scores, ~relevant, valid=np.zeros((2, 3), bool))
    assert all(np.isnan(values).all() for values in only_padding.values())


def test_no_rows_give_no_values():
    metrics = ranking_metrics(np.zeros((0, 5)), np.zeros((0, 5), bool))
    assert all(values.shape == (0,) for values in metrics.values())
    names = [f"recall@{k}" for k in CUTOFFS] + [f"ndcg@{k}" for k in CUTOFFS] + ["mrr"]
    assert list(metrics) == names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": np.array([[1.0, np.nan]])}, "`scores` must not be NaN.*row 0, candidate 1"),
        ({"scores": np.zeros(2)}, "`scores` must hold real numbers"),
        ({"scores": np.array([["a", "b"]])}, "`scores` must hold real numbers"),
        ({"relevant": np.array([[1, 0]])}, "`relevant` must be bool.*int64"),
        ({"relevant": np.array([[True]])}, r"`relevant` must be bool of shape \(1, 2\)"),
        ({"valid": np.array([True, False])}, "`valid` must be bool of shape"),
        ({"ks": (5, 0)}, r"`ks` must hold positive integers.*\[5, 0\]"),
        ({"ks": (2.0,)}, "`ks` must hold positive integers"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"scores": np.zeros((1, 2)), "relevant": np.array([[True, False]])} | changes
    with pytest.raises(ValueError, match=message):
        ranking_metrics(**arguments)


@pytest.mark.parametrize("levels", [3, 40, 10_000])
def test_the_first_positions_alone_are_worth_what_they_are_among_all(levels):
    rng = np.random.default_rng(levels)
    scores = rng.integers(0, levels, [6, 300]) / levels
    relevant = rng.random([6, 300]) < 0.1
    relevant[0] = False
    known = rng.random([6, 300]) < 0.2
    known[1, 10:] = True  # fewer candidates than positions
    scores = np.where(known, -np.inf, scores)
    best = best_in_tie_groups(scores, 20)
    found = metrics_of_ranking(best, relevant, (5, 20))
    wanted = ranking_metrics(scores, relevant, (5, 20))
    assert found.keys() | {"mrr"} == wanted.keys()
    for name in ("recall@5", "recall@20", "ndcg@5", "ndcg@20"):
        np.testing.assert_allclose(found[name], wanted[name])
    parts = [Lists(20, relevant.sum(axis=0), 6) for _ in range(2)]
    for lists, groups in zip(parts, (best, sort_in_tie_groups(scores)), strict=True):
        lists.add(groups, ~known)
    assert parts[0].metrics() == pytest.approx(parts[1].metrics())
