"""Intervals: hand numbers, undefined cases, and coverage of the truth by simulation."""

import math

import numpy as np
import pytest

from cmml_tf.evaluation.statistics import mean_interval, mean_over_runs, paired_difference


def test_mean_interval_by_hand():
    # Sample variance of 1, 2, 3, 6 is (4 + 1 + 0 + 9) / 3.
    mean, half_width = mean_interval([1.0, 2.0, 3.0, 6.0])
    assert mean == 3.0
    assert half_width == pytest.approx(3.1824 * math.sqrt(14 / 3) / 2)


@pytest.mark.parametrize("runs", [2, 3, 5, 10])
def test_mean_interval_covers_the_truth_of_few_runs(runs):
    drawn = np.random.default_rng(runs).normal(2.0, 0.3, (4000, runs))
    covered = [abs(mean - 2.0) < half for mean, half in map(mean_interval, drawn)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)


def test_undefined_values_are_left_out_of_the_mean():
    assert mean_interval([1.0, math.nan, 3.0]) == mean_interval([1.0, 3.0])


def test_one_value_has_no_interval():
    mean, half_width = mean_interval([0.7])
    assert mean == 0.7
    assert math.isnan(half_width)
    assert all(math.isnan(value) for value in mean_interval([]))


def test_paired_difference_by_hand():
    # Differences 3, 1 | 1 | -1: mean 1; group sums of what is left 2, 0, -2.
    result = paired_difference(
        [4.0, 2.0, 5.0, 0.0], [1.0, 1.0, 4.0, 1.0], ["war", "war", "noir", "western"]
    )
    half_width = 4.3027 * math.sqrt(3 / 2 * (4 + 0 + 4) / 16)
    assert result == (1.0, pytest.approx(half_width), 4, 3)
    assert result.interval == pytest.approx((1 - half_width, 1 + half_width))


@pytest.mark.parametrize(
    ("rows", "factor"), [(2, 12.7062), (8, 2.3646), (31, 2.0423), (101, 1.98397)]
)
def test_one_row_a_group_is_the_paired_t_interval(rows, factor):
    difference = np.random.default_rng(0).normal(size=rows)
    result = paired_difference(difference, np.zeros(rows), np.arange(rows))
    usual = factor * difference.std(ddof=1) / math.sqrt(rows)
    assert result.half_width == pytest.approx(usual, rel=1e-5)


def test_rows_undefined_under_either_system_are_left_out():
    a, b = [1.0, math.nan, 3.0, 5.0], [0.0, 1.0, math.nan, 1.0]
    assert paired_difference(a, b, [0, 0, 1, 2]) == paired_difference(
        [1.0, 5.0], [0.0, 1.0], [0, 2]
    )


def test_one_scenario_has_no_interval():
    result = paired_difference([1.0, 2.0], [0.0, 0.0], ["only", "only"])
    assert (result.mean, result.rows, result.groups) == (1.5, 2, 1)
    assert math.isnan(result.half_width)
    assert paired_difference([math.nan], [0.0], [0])[2:] == (0, 0)


@pytest.mark.parametrize("scenarios", [5, 40])
def test_interval_covers_the_truth_when_rows_of_a_scenario_move_together(scenarios):
    generator = np.random.default_rng(scenarios)
    covered = naive_covered = 0
    for _ in range(2000):
        sizes = generator.integers(20, 40, scenarios)
        group = np.repeat(np.arange(scenarios), sizes)
        shared = generator.normal(scale=0.5, size=scenarios)
        a = 0.3 + shared[group] + generator.normal(size=len(group))
        result = paired_difference(a, np.zeros(len(group)), group)
        covered += abs(result.mean - 0.3) < result.half_width
        naive_covered += abs(result.mean - 0.3) < mean_interval(a)[1]
    assert 0.93 < covered / 2000 < 0.97
    assert naive_covered / 2000 < 0.7


def test_interval_over_runs_and_tasks_by_hand():
    # Two runs of three tasks: means 2 and 4, of all 3; what is left over, a sixth of it each:
    # -2 -1 0 and 1 1 1.
    values, runs = [1.0, 2.0, 3.0, 4.0, 4.0, 4.0], ["a"] * 3 + ["b"] * 3
    mean, half = mean_over_runs(values, runs, [1, 2, 3] * 2)
    by_run, by_task = 2 * (9 + 9) / 36, 1.5 * (1 + 0 + 1) / 36
    variance = by_run + by_task - 6 / 5 * (4 + 1 + 0 + 1 + 1 + 1) / 36
    assert mean == pytest.approx(3.0)
    # The pairs vary more than the tasks, so it is that over runs alone, with 1 degree of freedom.
    assert variance < by_run
    assert half == pytest.approx(12.7062 * math.sqrt(by_run))


def test_interval_over_one_run_is_that_over_its_tasks_and_over_one_task_that_over_runs():
    rng = np.random.default_rng(0)
    values, task = rng.normal(size=30), rng.integers(0, 6, 30)
    alone = paired_difference(values, np.zeros(30), task)
    assert mean_over_runs(values, np.zeros(30), task) == pytest.approx(
        (alone.mean, alone.half_width)
    )
    assert mean_over_runs([1.0, 2.0, 4.0], [0, 1, 2], ["all"] * 3) == pytest.approx(
        mean_interval([1.0, 2.0, 4.0])
    )
    mean, half = mean_over_runs([1.0], [0], [0])
    assert (mean, math.isnan(half)) == (1.0, True)
    assert all(map(math.isnan, mean_over_runs([math.nan], [0], [0])))


def test_a_run_counts_as_much_as_another_and_a_task_within_it_by_its_weight():
    mean, _ = mean_over_runs([1.0, 2.0, 9.0], [0, 0, 1], [0, 1, 0], [3.0, 1.0, 100.0])
    assert mean == pytest.approx((1.25 + 9.0) / 2)


@pytest.mark.parametrize("spread", [(0.5, 0.1), (0.1, 0.5), (0.4, 0.4)])
def test_interval_over_runs_and_tasks_covers_the_truth(spread):
    generator, covered = np.random.default_rng(0), 0
    runs, tasks = np.repeat(np.arange(5), 12), np.tile(np.arange(12), 5)
    for _ in range(500):
        of_run, of_task = (generator.normal(scale=s, size=12) for s in spread)
        values = of_run[runs] + of_task[tasks] + generator.normal(scale=0.1, size=60)
        mean, half = mean_over_runs(values, runs, tasks)
        covered += abs(mean) < half
    assert covered / 500 > 0.93


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="`values`, `runs`, `tasks` and `weights` must have one"):
        mean_over_runs([1.0, 2.0], [0, 1], [0])
    with pytest.raises(ValueError, match="`a`, `b` and `groups` must have one entry a row"):
        paired_difference([1.0, 2.0], [1.0], [0, 0])
    with pytest.raises(ValueError, match="`values` must be a list of numbers"):
        mean_interval(np.zeros((2, 2)))
