"""Hit ratios of the simulated cache against exact and independent values."""

import itertools

import numpy as np
import pytest
from context_traffic import Zipf, expected_hit_ratio, simulate_cache

LONG, MANY = 1e12, 10**9


def shares(keys, exponent):
    weights = 1 / np.arange(1, keys + 1) ** exponent
    return weights / weights.sum()


def test_a_small_lru_cache_hits_as_often_as_its_stationary_distribution_says():
    p = shares(5, 0.9)
    # King (1971): the cache holds i before j with probability p_i p_j / (1 - p_i).
    exact = sum(
        p[i] * p[j] / (1 - p[i]) * (p[i] + p[j]) for i, j in itertools.permutations(range(5), 2)
    )
    simulated = simulate_cache(Zipf(5, 0.9), 1.0, 2, LONG, 100_000, seed=0)
    assert simulated.hit_ratio == pytest.approx(exact, abs=0.01)
    assert simulated.entries == 2


def test_a_large_lru_cache_agrees_with_che():
    p = np.array(shares(5000, 0.8))
    # Che: sum of 1 - exp(-p t) is the capacity; here by Newton's method.
    t = 500.0
    for _ in range(50):
        t -= (np.sum(1 - np.exp(-p * t)) - 500) / np.sum(p * np.exp(-p * t))
    che = np.sum(p * (1 - np.exp(-p * t)))
    assert 0.3 < che < 0.7
    popularity = Zipf(5000, 0.8)
    assert expected_hit_ratio(popularity, 1.0, 500, LONG) == pytest.approx(che, abs=1e-4)
    simulated = simulate_cache(popularity, 1.0, 500, LONG, 200_000, seed=0)
    assert simulated.hit_ratio == pytest.approx(che, abs=0.01)


def test_an_age_limit_alone_gives_its_renewal_formula():
    p, rate, age = np.array(shares(1000, 1.0)), 50.0, 30.0
    exact = np.sum(p * (rate * p * age) / (1 + rate * p * age))
    assert 0.3 < exact < 0.9
    popularity = Zipf(1000, 1.0)
    assert expected_hit_ratio(popularity, rate, MANY, age) == pytest.approx(exact, abs=1e-6)
    simulated = simulate_cache(popularity, rate, MANY, age, 200_000, seed=0)
    assert simulated.hit_ratio == pytest.approx(exact, abs=0.01)


def test_both_limits_together_are_near_the_formula():
    popularity = Zipf(20_000, 0.8)
    both = simulate_cache(popularity, 100.0, 2_000, 60.0, 200_000, seed=0).hit_ratio
    assert both == pytest.approx(expected_hit_ratio(popularity, 100.0, 2_000, 60.0), abs=0.03)
    assert both < simulate_cache(popularity, 100.0, 2_000, LONG, 200_000, seed=0).hit_ratio


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0, 1.3])
def test_popularity_beyond_the_exact_ranks(exponent):
    keys = 60_000
    p = np.array(shares(keys, exponent))
    popularity = Zipf(keys, exponent)
    assert np.sum(popularity.counts) == pytest.approx(keys)
    assert np.sum(popularity.counts * popularity.shares) == pytest.approx(1)
    np.testing.assert_allclose(popularity.shares[:20_000], p[:20_000], rtol=1e-3)
    drawn = popularity.draw(100_000, np.random.default_rng(0))
    assert (drawn.min() >= 0) & (drawn.max() < keys)
    edges = [0, 10, 1_000, 20_000, 35_000, 50_000, keys]
    counted, _ = np.histogram(drawn, edges)
    expected = [p[a:b].sum() for a, b in itertools.pairwise(edges)]
    assert counted / 100_000 == pytest.approx(expected, abs=0.006)


def test_a_billion_keys_need_no_memory():
    popularity = Zipf(10**9, 0.6)
    drawn = popularity.draw(1_000, np.random.default_rng(0))
    assert drawn.max() > 10**8
    assert len(popularity.shares) < 30_000


def test_impossible_popularity_is_refused():
    with pytest.raises(ValueError, match=r"Received: keys=0, exponent=1"):
        Zipf(0, 1)
