"""Paired tests against enumeration of every sign, and Holm's adjustment by hand."""

import itertools

import numpy as np
import pytest

from cmml_tf.evaluation.significance import holm, wilcoxon_p


def enumerated_p(difference):
    """Two-sided p by all 2^n signs of the ranks of |difference|, without ties."""
    ranks = np.argsort(np.argsort(np.abs(difference))) + 1
    seen = np.abs((np.sign(difference) * ranks).sum())
    signs = np.array(list(itertools.product([-1, 1], repeat=len(difference))))
    return np.mean(np.abs(signs @ ranks) >= seen)


@pytest.mark.parametrize("seed", range(3))
def test_p_is_the_share_of_sign_patterns_at_least_as_one_sided(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0.4, 1, 10), rng.normal(0, 1, 10)
    assert wilcoxon_p(a, b) == pytest.approx(enumerated_p(a - b))
    assert wilcoxon_p(b, a) == pytest.approx(wilcoxon_p(a, b))


def test_equal_and_undefined_pairs_say_nothing():
    a = np.array([1.0, 2.0, 4.0, 3.5, 2.2, 9.0, np.nan])
    b = np.array([1.0, 1.0, 1.0, 1.0, 1.0, np.nan, 1.0])
    assert wilcoxon_p(a, b) == pytest.approx(wilcoxon_p(a[1:5], b[1:5])) == pytest.approx(0.125)
    assert wilcoxon_p(a, a) == 1.0


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r"one entry a task each. Received: shapes \(2,\)"):
        wilcoxon_p([1.0, 2.0], [1.0])


def test_holm_multiplies_the_smallest_by_all_and_never_falls():
    assert holm([0.5, 0.004, 0.02]) == pytest.approx([0.5, 0.012, 0.04])
    assert holm([0.02, 0.019]) == pytest.approx([0.038, 0.038])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
