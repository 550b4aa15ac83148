"""Drift: what is another distribution is found, what is the same is not."""

import numpy as np
import pytest

from cmml_tf.metrics.scores import score_summary
from cmml_tf.monitoring.drift import measure_drift, stability_index

EVALUATED = np.random.default_rng(0).normal(size=20_000)
MANIFEST = {"scores": score_summary(EVALUATED), "known": {"users": 1.0, "items": 0.4}}


def _drift(scores, **known):
    return measure_drift(MANIFEST, {"score": scores, **known})


def test_a_summary_is_count_mean_spread_and_deciles():
    summary = score_summary(np.arange(101))
    assert summary["quantiles"] == pytest.approx(np.arange(0, 101, 10))
    assert (summary["count"], summary["mean"]) == (101, 50.0)
    assert summary["std"] == pytest.approx(np.arange(101).std())


def test_the_index_of_two_bins_by_hand():
    # Shares .25 and .75 where .5 and .5 are expected.
    scores = [0.0, 1.0, 1.0, 1.0]
    by_hand = -0.25 * np.log(0.5) + 0.25 * np.log(1.5)
    assert stability_index([0.0, 0.5, 1.0], scores) == pytest.approx(by_hand)


@pytest.mark.parametrize("number", [20, 200, 5000])
def test_the_same_distribution_is_no_drift(number):
    rng = np.random.default_rng(1)
    assert [_drift(rng.normal(size=number)).found for _ in range(50)] == [[]] * 50


def test_a_shift_and_a_wider_spread_are_drift():
    rng = np.random.default_rng(2)
    for scores in (rng.normal(0.8, 1, 1000), rng.normal(0, 3, 1000), np.full(1000, 9.0)):
        found = _drift(scores)
        assert len(found.found) == 1
        assert "scores are distributed otherwise" in found.sentence


def test_scores_that_are_all_equal_are_what_they_were():
    same = {"scores": score_summary(np.zeros(50))}
    assert measure_drift(same, {"score": np.zeros(500)}).stability_index == pytest.approx(0)
    few = np.repeat([0.0, 1.0], [700, 300])
    assert stability_index(score_summary(few)["quantiles"], few) < 0.05


def test_a_growing_share_of_unknown_ids_is_drift():
    scores = np.random.default_rng(3).normal(size=100)
    known = np.arange(100) < 60
    found = _drift(scores, user_known=known, item_known=known)
    assert found.unknown == {"user": pytest.approx(0.4), "item": pytest.approx(0.4)}
    # Of the evaluation's items 60% were unknown already.
    assert found.found == ["40% of the users are unknown, 0% were"]


def test_a_manifest_that_says_nothing_of_scores_finds_nothing_in_them():
    found = measure_drift({}, {"score": np.ones(3), "user_known": np.zeros(3, bool)})
    assert (found.stability_index, found.found) == (None, [])
    assert "not recorded" in found.table()


def test_no_score_and_a_score_that_is_no_number_are_refused():
    with pytest.raises(ValueError, match="a score at the least"):
        _drift(np.zeros(0))
    with pytest.raises(ValueError, match="nan in row 1"):
        _drift(np.array([1.0, np.nan]))


@pytest.mark.parametrize("odd", [np.nan, 0.5, -1.0])
def test_what_is_neither_known_nor_unknown_is_refused(odd):
    with pytest.raises(ValueError, match=rf"`item_known` must be 1 or 0 .* {odd} in row 1"):
        _drift(np.zeros(3), item_known=np.array([1.0, odd, 0.0]))
