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
from cmml_tf.embeddings.click_choices import Choices, Clicks, Moments, Step, blocks, newton
from cmml_tf.embeddings.conditional_factors import (
    ConditionalFactors,
    FactorStart,
    Side,
    known_weight,
)
from cmml_tf.embeddings.popularity import STATISTICS, Popularity

_LEAST_LEFT = 0.05
"""Of what is averaged over, if the rest is to be looked at by itself."""


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
        factors, group = self._factors, self._factors.likelihood.scenarios[scenario]
        clicks, pairs = factors.clicks, self._pairs[scenario]
        u, v, known = factors.basis_users, factors.basis_items, factors.user_factors
        lost_by_user = _Lost(
            group,
            group.users,
            group.user_clicks,
            group.of_users(u[group.users], v[group.items]),
            _sums(users, clicks.users[pairs], v[clicks.items[pairs]]),
            self._among_other_items(group, users),
        )
        lost_by_item = _Lost(
            group,
            group.items,
            group.item_clicks,
            group.of_items(known[group.users], v[group.items]),
            _sums(items, clicks.items[pairs], known[clicks.users[pairs]]),
            self._among_other_users(group, items),
        )
        return self._assembled(
            _left_out(factors.user, users, u, factors.user_step, lost_by_user),
            _left_out(factors.item, items, v, factors.item_step, lost_by_item),
            self._popularity.features_without(scenario, items),
        )

    def _among_other_items(self, group: Choices, users: np.ndarray) -> np.ndarray:
        """float64 [N, d]: what users' clicks are compared with, the group's not being there."""
        factors, everything = self._factors, self._factors.likelihood.everything
        at = np.searchsorted(everything.items, group.items)
        taken = np.log(group.item_clicks / everything.item_clicks[at])
        return _among_others(
            factors.user_step.among_all.first[users], np.ones(len(users)),
            (factors.basis_users[users], factors.basis_items[group.items]),
            (-self._totals[0][users], everything.level[at] + taken),
        )  # fmt: skip

    def _among_other_users(self, group: Choices, items: np.ndarray) -> np.ndarray:
        """The same of items."""
        factors, users = self._factors, group.users
        return _among_others(
            factors.item_step.among_all.first[items], self._expected[items],
            (factors.basis_items[items], factors.user_factors[users]),
            (self._level[items], np.log(group.user_clicks) - self._totals[1][users]),
        )  # fmt: skip

    @cached_property
    def _totals(self) -> list[np.ndarray]:
        """float64 [U] each, of all clicks, by the factors each last step is taken at."""
        factors, everything = self._factors, self._factors.likelihood.everything
        of = []
        for u in (factors.basis_users, factors.user_factors):
            total = np.full(len(u), np.inf)
            v = factors.basis_items[everything.items]
            total[everything.users] = everything.totals(u[everything.users], v)
            of.append(total)
        return of

    @cached_property
    def _expected(self) -> np.ndarray:
        """float64 [I], clicks that are expected of items among all, by users' last factors."""
        factors, everything = self._factors, self._factors.likelihood.everything
        expected = np.zeros(len(factors.basis_items))
        u, v = factors.user_factors[everything.users], factors.basis_items[everything.items]
        expected[everything.items] = everything.expected(u, v)
        return expected

    @cached_property
    def _level(self) -> np.ndarray:
        """float64 [I], of all clicks."""
        everything = self._factors.likelihood.everything
        level = np.full(len(self._factors.basis_items), -np.inf)
        level[everything.items] = everything.level
        return level

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


class _Lost(NamedTuple):
    """What rows lose with a scenario.

    Attributes:
      group: The scenario's clicks.
      rows, clicks: Who has clicks there, ascending, and how many, [M].
      expected: What these are compared with.
      sums: float64 [N, d], of the other side's factors over the scenario's pairs of each row.
      among_others: float64 [N, d], what clicks are compared with among those of all others.
    """

    group: Choices
    rows: np.ndarray
    clicks: np.ndarray
    expected: Moments
    sums: np.ndarray
    among_others: np.ndarray


def _left_out(
    side: Side, rows: np.ndarray, factors: np.ndarray, step: Step, lost: _Lost
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors, whether known, and prior means of `rows` without a scenario's pairs.

    Args:
      side: Users or items.
      rows: int [N].
      factors: float64 [.., d], from which the side's last step is taken, and
        which content foretells.
      step: This step, of all pairs.
      lost: What is not there.
    """
    count, first = np.zeros(len(rows)), np.zeros((len(rows), factors.shape[1]))
    central = np.zeros((len(rows), step.curvature.shape[1]), np.float32)
    place = np.searchsorted(rows, lost.rows)
    count[place], first[place], central[place] = lost.clicks, *lost.expected
    rest, among_all, own = side.total[rows] - count, step.among_all, lost.group.share
    slope = step.slope[rows] - lost.sums
    slope += count[:, None] * (own * first + (1.0 - own) * among_all.first[rows])
    slope -= (1.0 - own) * rest[:, None] * (lost.among_others - among_all.first[rows])
    central = own * central + (1.0 - own) * among_all.central[rows]
    curvature = step.curvature[rows] - count[:, None].astype(np.float32) * central
    prior = side.prior(factors.shape[1])[rows]
    if side.map is not None:
        # The map without what the scenario told of its rows.
        content = side.content[rows]
        before = known_weight(side.total[rows])
        less = before - known_weight(rest)
        gram = side.gram - (content * less[:, None]).T @ content
        moment = side.moment - (content * less[:, None]).T @ factors[rows]
        prior = content @ np.linalg.solve(gram, moment)
    return newton(factors[rows], slope, curvature, prior, side.penalty), rest > 0, prior


def _among_others(
    first: np.ndarray,
    total: np.ndarray,
    factors: tuple[np.ndarray, np.ndarray],
    levels: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Means of the other side's factors without a group's part, float64 [N, d].

    Args:
      first: float64 [N, d], with it.
      total: float64 [N], what all that is averaged over weighs.
      factors, levels: [N, d], [K, d]; [N], [K]: k weighs exp(<x, y_k> + level + level_k) in the
        group's part. Where hardly anything is left, it is taken to be as the whole.
    """
    others, mean = factors[1].astype(np.float32), np.array(first)
    level = levels[1].astype(np.float32)
    for block in blocks(len(first), len(others)):
        gone = factors[0][block].astype(np.float32) @ others.T + level
        gone = np.exp(gone + levels[0][block, None].astype(np.float32), out=gone)
        left = total[block] - gone.sum(axis=1)
        enough = (left > _LEAST_LEFT * total[block])[:, None]
        rest = total[block, None] * first[block] - gone @ others
        mean[block] = np.divide(rest, left[:, None], out=mean[block], where=enough)
    return mean


def _sums(rows: np.ndarray, of: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """float64 [N, d], of factors [K, d] over the pairs `of` each row."""
    sums = np.zeros((len(rows), factors.shape[1]))
    np.add.at(sums, np.searchsorted(rows, of), factors)
    return sums
