"""How sure a mean or a difference is: 95% intervals over seeds and over scenarios."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Quantile .975 of Student's t for 1 to 30 degrees of freedom.
# fmt: off
_STUDENT_T = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
    2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
    2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
)
# fmt: on


class PairedDifference(NamedTuple):
    """The mean of a - b over rows, and how far to trust it.

    Attributes:
      mean: Mean difference over rows, in units of the metric; NaN without a defined row.
      half_width: Half of the 95% interval; NaN with fewer than two groups.
      rows: Rows with a defined difference.
      groups: Groups (scenarios) those rows come from.
    """

    mean: float
    half_width: float
    rows: int
    groups: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval, low and high end."""
        return self.mean - self.half_width, self.mean + self.half_width

    @property
    def is_gain(self) -> bool:
        """Whether all of the interval is above zero; no interval proves nothing."""
        return bool(self.interval[0] > 0)

    @property
    def is_no_loss(self) -> bool:
        """Whether the interval reaches zero, or lies above it; False without an interval."""
        return bool(self.interval[1] >= 0)

    def spelled(self, sign: str = "+") -> str:
        """For people, with the interval where there is one; `sign` "": without it."""
        mean = f"{self.mean:+.4f}" if sign else f"{abs(self.mean):.4f}"
        return mean if np.isnan(self.half_width) else f"{mean} ± {self.half_width:.4f}"


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Mean and half of its 95% interval, t * std / sqrt(n), of independent runs.

    std is the sample standard deviation (divided by n - 1), t the quantile of Student's t with
    n - 1 degrees of freedom: 4.30 with 3 runs, 2.78 with 5. The paper's factor 1.96 is that of
    many runs; with 5 it covers 88% instead of 95%. For rows of one run, which are not independent,
    use `paired_difference`.

    Args:
      values: One number a run. NaN (an undefined metric) is left out.

    Returns:
      (mean, half width): half width NaN for one value, both NaN for none.

    Raises:
      ValueError: `values` has more than one axis.
    """
    values = _vector("values", values)
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return float("nan"), float("nan")
    if len(values) == 1:
        return float(values[0]), float("nan")
    return float(values.mean()), float(
        _student_t(len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    )


def paired_difference(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    groups: Sequence[object] | np.ndarray,
) -> PairedDifference:
    """Mean of a - b over rows, with a 95% interval that knows that rows come in groups.

    All users of a scenario share one support set and one candidate list: their differences move
    together, and a hundred of them say less than a hundred scenarios. The variance of the mean is
    therefore taken between groups (cluster-robust, Liang and Zeger 1986):

      variance = G / (G - 1) * sum over groups (sum over rows (difference - mean))^2 / rows^2

    and the factor is Student's with G - 1 degrees of freedom, since scenarios are few. With one row
    a group this is the usual paired t interval.

    Args:
      a: [R], a metric by row, NaN where undefined.
      b: [R], the same rows under the other system.
      groups: [R], the scenario of each row (any hashable, sortable ids).

    Returns:
      `PairedDifference`; rows where either is NaN are left out.

    Raises:
      ValueError: The three are not vectors of one length.
    """
    a, b, groups = _vector("a", a), _vector("b", b), np.asarray(groups)
    if not a.shape == b.shape == groups.shape:
        raise ValueError(
            "`a`, `b` and `groups` must have one entry a row each. "
            f"Received: shapes {a.shape}, {b.shape} and {groups.shape}."
        )
    difference = a - b
    defined = ~np.isnan(difference)
    difference = difference[defined]
    rows = len(difference)
    if rows == 0:
        return PairedDifference(float("nan"), float("nan"), 0, 0)
    mean = difference.mean()
    _, group = np.unique(groups[defined], return_inverse=True)
    sums = np.bincount(group, difference - mean)
    count = len(sums)
    if count == 1:
        return PairedDifference(float(mean), float("nan"), rows, 1)
    variance = count / (count - 1) * (sums**2).sum() / rows**2
    half_width = _student_t(count - 1) * np.sqrt(variance)
    return PairedDifference(float(mean), float(half_width), rows, count)


def mean_over_runs(
    values: Sequence[float] | np.ndarray,
    runs: Sequence[object] | np.ndarray,
    tasks: Sequence[object] | np.ndarray,
    weights: Sequence[float] | np.ndarray | None = None,
) -> tuple[float, float]:
    """Mean over runs of each run's mean, and half of its 95% interval over runs and tasks.

    Two things were drawn: the runs (seeds) and the tasks that they were asked. A mean that varies
    with either is uncertain by both, so the variance is clustered both ways (Cameron, Gelbach and
    Miller 2011): with e_rt the part of the mean that run r and task t add to its deviation,

      e_rt = sum over the values of r and t of weight (value - mean) / (R * weight of r)
      variance = R / (R - 1) * sum_r (sum_t e_rt)^2 + T / (T - 1) * sum_t (sum_r e_rt)^2
                 - N / (N - 1) * sum_rt e_rt^2,

    R runs, T tasks, N pairs of both; at least the larger of the first two terms. The factor is
    Student's t with min(R, T) - 1 degrees of freedom. With one run, or one task, what is left is
    the interval over the other alone.

    Args:
      values: One number for each run and task, or several; NaN (undefined) is left out.
      runs, tasks: Which run, and which task, a value is of; any hashable, sortable ids.
      weights: How much a value counts within its run, such as the rankings it is a mean of; None:
        all the same.

    Returns:
      (mean, half width): half width NaN for a single run and task, both NaN for none.

    Raises:
      ValueError: The arguments are not vectors of one length.
    """
    values, runs, tasks = _vector("values", values), np.asarray(runs), np.asarray(tasks)
    weights = np.ones(len(values)) if weights is None else _vector("weights", weights)
    if not values.shape == runs.shape == tasks.shape == weights.shape:
        raise ValueError(
            "`values`, `runs`, `tasks` and `weights` must have one entry a value each. Received: "
            f"shapes {values.shape}, {runs.shape}, {tasks.shape} and {weights.shape}."
        )
    defined = ~np.isnan(values)
    values, weights = values[defined], weights[defined]
    if not len(values):
        return float("nan"), float("nan")
    run_ids, run = np.unique(runs[defined], return_inverse=True)
    task_ids, task = np.unique(tasks[defined], return_inverse=True)
    share = weights / (np.bincount(run, weights)[run] * len(run_ids))
    mean = float(share @ values)
    deviation = share * (values - mean)
    by_run, by_task = _clustered(run, deviation), _clustered(task, deviation)
    pair = np.unique(run * len(task_ids) + task, return_inverse=True)[1]
    groups = [ids for ids in (run_ids, task_ids) if len(ids) > 1]
    if not groups:
        return mean, float("nan")
    variance = by_run + by_task - _clustered(pair, deviation) if len(groups) == 2 else 0.0
    variance = max(variance, by_run, by_task)
    degrees = min(map(len, groups)) - 1
    return mean, float(_student_t(degrees) * np.sqrt(variance))


def _clustered(group: np.ndarray, deviation: np.ndarray) -> float:
    """G / (G - 1) times the sum of squares of the groups' sums; 0 with a single group."""
    sums = np.bincount(group, deviation)
    return 0.0 if len(sums) < 2 else len(sums) / (len(sums) - 1) * float(np.sum(sums**2))


def _student_t(degrees: int) -> float:
    """Quantile .975 of Student's t: the table, then its expansion around the normal quantile."""
    if degrees <= len(_STUDENT_T):
        return _STUDENT_T[degrees - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def _vector(name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    vector = np.asarray(values, np.float64)
    if vector.ndim != 1:
        raise ValueError(f"`{name}` must be a list of numbers. Received: shape {vector.shape}.")
    return vector
