"""Rows of the tables, and for each training scenario rows that its own pairs never reached.

A new scenario's pairs are in no embedding. If the scenarios that are learned from are in theirs,
the model learns to trust what it will not have. So each of them has rows of its own: its items and
users solved again without its pairs, popularity and the map from content to factors likewise, in
the basis of the whole. The statistics are sums over scenarios, so it is a subtraction and one solve
of d x d a row.
"""

from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cmml_tf.config.data import FactorConfig
from cmml_tf.embeddings.conditional_factors import (
    Clicks,
    ConditionalFactors,
    FactorStart,
    Moments,
    Side,
    known_weight,
)
from cmml_tf.embeddings.popularity import STATISTICS, Popularity

_MOST_KEPT = 2**25
"""Numbers that are kept of a side, 256 MiB."""


class TableRows(NamedTuple):
    """Rows of the tables of the model; `hidden` ones know content alone.

    Attributes:
      user, hidden_user: float32 [N, d + 1]: factors, whether a pair is known (0 or 1).
      item, hidden_item: float32 [M, d + 1 + STATISTICS]: the same, then `Popularity.features`.
    """

    user: np.ndarray
    item: np.ndarray
    hidden_user: np.ndarray
    hidden_item: np.ndarray


class KeptFactors(NamedTuple):
    """What a fit leaves to the next one.

    Attributes:
      start: Its factors.
      item_scale: Of `ScenarioFactors`.
    """

    start: FactorStart
    item_scale: float


class ScenarioFactors:
    """Global rows, those without a scenario, and what content alone says of a row.

    Args:
      factors: Fitted on what may be known.
      popularity: Of the same clicks.
      item_scale: What items' factors are multiplied with; None: so that their mean square is 1.
    """

    def __init__(
        self,
        factors: ConditionalFactors,
        popularity: Popularity,
        item_scale: float | None = None,
    ) -> None:
        self._factors = factors
        self._popularity = popularity
        if item_scale is None:
            known = factors.item.total > 0
            square = np.mean(np.square(factors.item_factors[known]))
            item_scale = 1.0 / np.sqrt(max(square, 1e-12))
        self._item_scale = item_scale
        clicks = factors.clicks
        order = np.argsort(clicks.scenario, kind="stable")
        bounds = np.searchsorted(clicks.scenario[order], np.arange(clicks.scenario_count + 1))
        self._pairs = [order[start:stop] for start, stop in pairwise(bounds)]

    def kept(self) -> KeptFactors:
        """What a later state of the clicks starts from."""
        factors = self._factors
        return KeptFactors(
            FactorStart(factors.basis_users, factors.basis_items), float(self._item_scale)
        )

    def rows(self) -> TableRows:
        """Every user and item: what is exported."""
        factors = self._factors
        d = factors.config.dimension
        return self._assembled(
            (factors.user_factors, factors.user.total > 0, factors.user.prior(d)),
            (factors.item_factors, factors.item.total > 0, factors.item.prior(d)),
            self._popularity.features(),
        )

    def without(self, scenario: int, users: np.ndarray, items: np.ndarray) -> TableRows:
        """Users and items as they are known when the scenario's own pairs are not.

        Args:
          scenario: Its number in the clicks.
          users, items: int [N], [M], sorted rows that include all of its pairs.
        """
        factors = self._factors
        pairs = self._pairs[scenario]
        clicks = factors.clicks
        of_user = np.searchsorted(users, clicks.users[pairs])
        of_item = np.searchsorted(items, clicks.items[pairs])
        item = _left_out(
            self._of_items, items, of_item, factors.item_sums, scenario,
            factors.user_factors[clicks.users[pairs]], factors.basis_items,
        )  # fmt: skip
        user = _left_out(
            self._of_users, users, of_user, factors.user_sums, scenario,
            factors.basis_items[clicks.items[pairs]], factors.basis_users,
        )  # fmt: skip
        return self._assembled(user, item, self._popularity.features_without(scenario, items))

    @cached_property
    def _of_users(self) -> "_Totals":
        return _Totals(self._factors.user, self._factors.item_moments)

    @cached_property
    def _of_items(self) -> "_Totals":
        return _Totals(self._factors.item, self._factors.user_moments)

    def content_maps(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """What makes rows of users [c_u, d + 1] and items [c_i, ...] that have content alone.

        The last row belongs to a constant 1 behind the content. None where there is no content.
        """
        factors, lift = self._factors, self._popularity.map
        user = item = None
        if factors.user.map is not None:
            user = np.pad(factors.user.map, ((0, 0), (0, 1)))
        if factors.item.map is not None and lift is not None:
            item = np.pad(factors.item.map * self._item_scale, ((0, 0), (0, STATISTICS)))
            item = np.concatenate([item, lift[:, None]], axis=1)
        return tuple(None if part is None else part.astype(np.float32) for part in (user, item))

    def _assembled(self, user: tuple, item: tuple, statistics: np.ndarray) -> TableRows:
        foretold = np.zeros_like(statistics)
        foretold[:, -1] = statistics[:, -1]
        scale = self._item_scale
        none = np.zeros((len(statistics), 1))
        return TableRows(
            *(
                np.concatenate(parts, axis=1).astype(np.float32)
                for parts in (
                    (user[0], user[1][:, None]),
                    (item[0] * scale, item[1][:, None], statistics),
                    (user[2], np.zeros((len(user[2]), 1))),
                    (item[2] * scale, none, foretold),
                )
            )
        )


def fit_scenario_factors(
    clicks: Clicks, config: FactorConfig, seed: int, kept: KeptFactors | None = None
) -> ScenarioFactors:
    """`ScenarioFactors` of clicks.

    Args:
      clicks, config, seed: As of `ConditionalFactors`.
      kept: Of an earlier state of the clicks: it goes on in their basis and scale.
    """
    popularity = Popularity(clicks, config.content_penalty)
    if kept is None:
        return ScenarioFactors(ConditionalFactors(clicks, config, seed), popularity)
    factors = ConditionalFactors(clicks, config, seed, kept.start)
    return ScenarioFactors(factors, popularity, kept.item_scale)


class _Totals:
    """Moments of the other side summed over all pairs of each row, of which one is subtracted.

    A row of many scenarios is in each of them solved without one, so its sums are made once, where
    they fit in memory; else anew for each scenario.

    Args:
      side: Users or items.
      moments: Of the other side.

    Attributes:
      side, moments: The same.
      mean: float64 [rows, d].
    """

    def __init__(self, side: Side, moments: Moments) -> None:
        self.side, self.moments = side, moments
        self.mean = side.counts @ moments.mean
        self._flat = moments.covariance.reshape(len(moments.mean), -1)
        fits = len(side.total) * self._flat.shape[1] <= _MOST_KEPT
        self._covariance = side.counts @ self._flat if fits else None

    def covariance(self, rows: np.ndarray) -> np.ndarray:
        """float64 [N, d, d]."""
        d = self.mean.shape[1]
        if self._covariance is not None:
            return self._covariance[rows].reshape(-1, d, d)
        return (self.side.counts[rows] @ self._flat).reshape(-1, d, d)


def _left_out(
    totals: _Totals,
    rows: np.ndarray,
    place: np.ndarray,
    sums: np.ndarray,
    scenario: int,
    other: np.ndarray,
    solved: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors, whether known, and prior means of `rows` without a scenario's pairs.

    Args:
      totals: Of users or of items.
      rows: int [N].
      place: int [K], the row of each pair of the scenario, by its place in `rows`.
      sums: float [.., d], of all rows, the other side's factors over their pairs.
      scenario: Its number.
      other: float [K, d], the other side's factors of the scenario's pairs.
      solved: float [.., d], the factors of all rows of this side.
    """
    d = sums.shape[1]
    side, moments = totals.side, totals.moments
    mean_change, covariance_change = moments.change_without(scenario)
    count = np.bincount(place, minlength=len(rows)).astype(np.float64)
    own = np.zeros((len(rows), d))
    np.add.at(own, place, other)
    prior = side.prior(d)[rows]
    if side.map is not None:
        # The map without what the scenario told of its rows.
        content = side.content[rows]
        before = known_weight(side.total[rows])
        less = before - known_weight(side.total[rows] - count)
        gram = side.gram - (content * less[:, None]).T @ content
        moment = side.moment - (content * less[:, None]).T @ solved[rows]
        prior = content @ np.linalg.solve(gram, moment)
    rest = side.total[rows] - count
    left = totals.covariance(rows)
    left -= count[:, None, None] * moments.covariance[scenario]
    left += rest[:, None, None] * covariance_change + side.penalty * np.eye(d)
    right = sums[rows] - own - totals.mean[rows] + count[:, None] * moments.mean[scenario]
    right += side.penalty * prior - rest[:, None] * mean_change
    factors = np.linalg.solve(left, right[..., None])[..., 0]
    return factors, side.total[rows] > count, prior
