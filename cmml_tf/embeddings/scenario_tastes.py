"""In which directions of items' factors the tastes of scenarios differ, and how far.

Matching reads the taste of a scenario from its support, with a prior of one variance for each
number of a factor (`ScenarioTaste`). What the training scenarios like is known from all of their
clicks, and in few directions of many do they differ. So rows are turned into these directions, of
which products of users and items know nothing, and the prior begins with the variances found.

Of the clicks in a training scenario s, item i gets a share in proportion to exp(<w_s, v_i>), with
w_s normal, of mean m and covariance S over scenarios. Both by expectation and maximisation: the
most likely w_s by Newton steps, and of its posterior the curvature there,

  S = (sum_s ((w_s - m) (w_s - m)^T + V_s) + a I) / (number of scenarios + 1).

Items differ in more than their factors say, so that n clicks count as n / (1 + n / t), as there.
"""

from typing import NamedTuple

import numpy as np

from cmml_tf.embeddings.training_tables import TrainingTables

_TURNS, _STEPS = 12, 2
_FIRST_VARIANCE = float(np.exp(-2.0))
_MOST_CLICKS = float(np.exp(5.0))
# Scenarios that are looked at, and the largest change of an item's logarithmic share in a step.
_MOST_SCENARIOS, _LARGEST_STEP = 256, 2.0
_BLOCK_ROWS = 65_536


class TasteBasis(NamedTuple):
    """Orthogonal directions, and how far the tastes of scenarios differ in each.

    Attributes:
      directions: float64 [d, d], in columns, those of the largest variances first.
      variances: float64 [d].
    """

    directions: np.ndarray
    variances: np.ndarray

    def turn(self, table: np.ndarray) -> None:
        """Turns the leading d columns of rows, float32 [N, ...], in place."""
        d = len(self.directions)
        for first in range(0, len(table), _BLOCK_ROWS):
            block = table[first : first + _BLOCK_ROWS, :d]
            block[:] = block @ self.directions


def fit_taste_basis(tables: TrainingTables, dimension: int) -> TasteBasis:
    """The basis of the training scenarios' tastes; of the same bits for the same tables.

    Args:
      tables: With rows of each scenario.
      dimension: d, the leading columns of item rows.
    """
    scenarios = tables.data.meta_train
    each = -(-len(scenarios) // _MOST_SCENARIOS)
    seen = [_Scenario(tables, number, dimension) for number in range(0, len(scenarios), each)]
    mean, covariance = np.zeros(dimension), np.eye(dimension) * _FIRST_VARIANCE
    for _ in range(_TURNS):
        precision = np.linalg.inv(covariance)
        spread = sum(one.update(mean, precision) for one in seen)
        tastes = np.stack([one.taste for one in seen])
        mean = tastes.mean(axis=0)
        differences = tastes - mean
        covariance = differences.T @ differences + spread + _FIRST_VARIANCE * np.eye(dimension)
        covariance /= len(seen) + 1
    variances, directions = np.linalg.eigh(covariance)
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(dimension)])
    return TasteBasis(directions[:, ::-1].copy(), variances[::-1].copy())


class _Scenario:
    """Clicks of a scenario on its items.

    Attributes:
      taste: float64 [d], w.
    """

    def __init__(self, tables: TrainingTables, number: int, dimension: int) -> None:
        scenario = tables.data.meta_train[number]
        factors = tables.item_rows[scenario.candidates, :dimension].astype(np.float64)
        place = np.searchsorted(scenario.candidates, scenario.items)
        clicks = np.bincount(place, minlength=len(factors)).astype(np.float64)
        self._factors = factors - factors.mean(axis=0)
        self._clicks = clicks / (1.0 + clicks.sum() / _MOST_CLICKS)
        self.taste = np.zeros(dimension)

    def update(self, mean: np.ndarray, precision: np.ndarray) -> np.ndarray:
        """Newton steps towards the most likely taste; its covariance [d, d]."""
        x, clicks, n = self._factors, self._clicks, self._clicks.sum()
        for _ in range(_STEPS):
            logits = x @ self.taste
            share = np.exp(logits - logits.max())
            share /= share.sum()
            expected = share @ x
            curvature = n * ((x * share[:, None]).T @ x - np.outer(expected, expected)) + precision
            slope = clicks @ x - n * expected - precision @ (self.taste - mean)
            step = np.linalg.solve(curvature, slope)
            self.taste = self.taste + step * min(
                1.0, _LARGEST_STEP / max(np.abs(x @ step).max(), 1e-12)
            )
        return np.linalg.inv(curvature)
