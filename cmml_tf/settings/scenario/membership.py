"""Which items of a catalogue belong to a scenario, as far as its support tells.

Scores compare items of a scenario with each other. `recommend` has the whole catalogue before it,
most of which is of other scenarios: there an item counts by its score plus the logarithm of how
likely it belongs to the scenario (`cmml_tf.serving.catalogue.membership` has the equations). The
training scenarios say what tells items of a scenario from others, and how well.

An item is described by its content and its factor, x. With W the covariance of x over the
catalogue and B that of the means of scenarios, the K directions p of the largest p' B p / p' W p
tell scenarios apart best (linear discriminants). Few scenarios say nothing of most directions, in
which others may still differ, so that each has a part of the mean ratio: of S scenarios and 4 more,
that have it in every direction, e is the mean. Then

  z_i = P' (x_i - mean over the catalogue)

is where an item lies. Level, slope and the weight of the number of clicks are a logistic
regression: supports of 1 to 256 clicks are drawn of each training scenario, and the items that they
do not name are told apart, those of the scenario from those of the rest of the catalogue. A
scenario's own items are described without its pairs, as those of a new scenario will be.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cmml_tf.datasets.tasks.scenario_data import Scenario
from cmml_tf.embeddings.training_tables import TrainingTables

_DIRECTIONS, _LEAST_RATIO, _RIDGE, _MEAN_SCENARIOS = 32, 1e-4, 0.05, 4
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_MOST_SCENARIOS, _MOST_ITEMS = 256, 256
_NEWTON_STEPS, _LARGEST_STEP, _PRECISION = 30, 2.0, 1e-3
_BLOCK = 65_536


class ScenarioMembership(NamedTuple):
    """What tells items of a scenario from others.

    Attributes:
      mean: float64 [c + d], of content and factor over the catalogue.
      directions: float64 [c + d, K], P.
      ratios: float64 [K], e.
      numbers: float64 [3], level, slope, and what log(1 + clicks) counts.
    """

    mean: np.ndarray
    directions: np.ndarray
    ratios: np.ndarray
    numbers: np.ndarray

    def places(self, content: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
        """Where items lie: z, float32 [N, K].

        Args:
          content: float [N, c], or None where items have none.
          rows: float32 [N, ...], of which the leading d columns are the factor.
        """
        blocks = [
            (x - self.mean) @ self.directions
            for x in _described(content, rows, len(self.mean) - _width(content))
        ]
        return np.concatenate(blocks).astype(np.float32)


def fit_membership(
    scenarios: tuple[Scenario, ...],
    tables: TrainingTables,
    item_rows: np.ndarray,
    content: np.ndarray | None,
    dimension: int,
    seed: int,
) -> ScenarioMembership:
    """Learns from the training scenarios; of the same bits for the same arguments.

    Args:
      scenarios: Of training, whose items are rows of the catalogue.
      tables: The same scenarios in `tables.data`, with rows of their own.
      item_rows: float32 [I, ...], of the catalogue.
      content: float [I, c], or None.
      dimension: d, the leading columns of rows that are factors.
      seed: Of the supports and of the other items.
    """
    each = -(-len(scenarios) // _MOST_SCENARIOS)
    seen = range(0, len(scenarios), each)
    own = [
        _joined(
            None if content is None else content[scenarios[number].candidates],
            tables.item_rows[tables.data.meta_train[number].candidates, :dimension],
        )
        for number in seen
    ]
    mean, within = _moments(content, item_rows, dimension)
    of_scenarios = np.stack([x.mean(axis=0) - mean for x in own])
    chance = np.mean([1.0 / len(x) for x in own])
    between = of_scenarios.T @ of_scenarios / len(own) - chance * within
    directions, ratios = _discriminants(between, within, len(own))
    membership = ScenarioMembership(mean, directions, ratios, np.zeros(3))
    places = membership.places(content, item_rows)
    rng = np.random.default_rng(seed)
    told = [
        part
        for number, x in zip(seen, own, strict=True)
        for part in _told_apart(scenarios[number], (x - mean) @ directions, places, ratios, rng)
    ]
    return membership._replace(numbers=_regression(*map(np.concatenate, zip(*told, strict=True))))


def _told_apart(
    scenario: Scenario,
    own: np.ndarray,
    places: np.ndarray,
    ratios: np.ndarray,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For supports of each size: numbers [N, 3], which items are of the scenario, weights [N]."""
    items = np.searchsorted(scenario.candidates, rng.permutation(scenario.items))
    others = np.setdiff1d(np.arange(len(places)), scenario.candidates)
    for size in _SIZES:
        if size > max(1, len(items) * 2 // 3):
            return
        named = np.unique(items[:size])
        unnamed = np.setdiff1d(np.arange(len(own)), named)
        center = ratios * own[named].sum(axis=0) / (1.0 + ratios * len(named))
        for lie, which, label in ((own, unnamed, 1.0), (places, others, 0.0)):
            drawn = rng.choice(which, min(len(which), _MOST_ITEMS), replace=False)
            near = lie[drawn] @ center - 0.5 * center @ center
            numbers = np.stack([np.ones(len(drawn)), near, np.full(len(drawn), np.log1p(size))], 1)
            weight = len(which) / max(len(drawn), 1) / len(places)
            yield numbers, np.full(len(drawn), label), np.full(len(drawn), weight)


def _regression(numbers: np.ndarray, label: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights of a logistic regression with a weak prior, by Newton steps: float64 [3]."""
    found = np.zeros(numbers.shape[1])
    for _ in range(_NEWTON_STEPS):
        expected = 0.5 + 0.5 * np.tanh(0.5 * numbers @ found)
        slope = numbers.T @ (weight * (label - expected)) - _PRECISION * found
        spread = numbers * (weight * expected * (1.0 - expected))[:, None]
        curvature = spread.T @ numbers + _PRECISION * np.eye(len(found))
        found += np.clip(np.linalg.solve(curvature, slope), -_LARGEST_STEP, _LARGEST_STEP)
    return found


def _discriminants(
    between: np.ndarray, within: np.ndarray, scenarios: int
) -> tuple[np.ndarray, np.ndarray]:
    """P [w, K] and e [K]; columns that do not vary say nothing."""
    within = within + np.diag(_RIDGE * np.diag(within) + 1e-9)
    root = np.linalg.inv(np.linalg.cholesky(within))
    ratios, vectors = np.linalg.eigh(root @ between @ root.T)
    ratios = np.maximum(ratios, 0.0)
    total = scenarios * ratios + _MEAN_SCENARIOS * ratios.mean()
    largest = slice(-1, -1 - _DIRECTIONS, -1)
    ratios = np.maximum(total[largest] / (scenarios + _MEAN_SCENARIOS), _LEAST_RATIO)
    return root.T @ vectors[:, largest], ratios


def _moments(
    content: np.ndarray | None, rows: np.ndarray, dimension: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of what describes the catalogue."""
    mean = sum(x.sum(axis=0) for x in _described(content, rows, dimension)) / len(rows)
    squares = sum((x - mean).T @ (x - mean) for x in _described(content, rows, dimension))
    return np.asarray(mean), np.asarray(squares) / len(rows)


def _described(
    content: np.ndarray | None, rows: np.ndarray, dimension: int
) -> Iterator[np.ndarray]:
    """Content and factor of some items at a time, float64 [N, c + d]."""
    bounds = [*range(0, len(rows), _BLOCK), len(rows)]
    for first, last in pairwise(bounds):
        part = None if content is None else content[first:last]
        yield _joined(part, rows[first:last, :dimension])


def _joined(content: np.ndarray | None, factors: np.ndarray) -> np.ndarray:
    parts = [factors] if content is None else [content, factors]
    return np.concatenate(parts, axis=1, dtype=np.float64)


def _width(content: np.ndarray | None) -> int:
    return 0 if content is None else content.shape[1]
