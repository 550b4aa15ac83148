"""Rows of the tables, and for each training scenario rows that its own pairs never reached.

A new scenario's pairs are in no embedding. If the scenarios that are learned from are in theirs,
the model learns to trust what it will not have. So each of them has rows of its own: its items and
users solved again without its pairs, popularity and the map from content to factors likewise, in
the basis of the whole. The statistics are sums over scenarios, so it is a subtraction and one solve
of d x d a row.

Where a click is in all scenarios that its item has (not `Clicks.copies_known`), a pair of this one
is not known by its copies in others either: users are solved without these. Items keep theirs:
items of which nothing is known are met in training all the same (`cmml_tf.episodes.hiding`), and
what is known of the others is what the model learns from.

What is left is that the other side's rows, from which these are solved, were fitted with the
scenario's pairs, so that products of its users and items foretell its clicks better than those of a
new scenario will. `UnseenScenarios` says by how much, and users who are served are shrunk by it.
"""

from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cmml_tf.config.data import FactorConfig
from cmml_tf.embeddings.click_choices import AMONG_ALL, Choices, Clicks, Step, newton
from cmml_tf.embeddings.conditional_factors import (
    ConditionalFactors,
    FactorStart,
    Side,
    known_weight,
)
from cmml_tf.embeddings.popularity import STATISTICS, Popularity


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
      user_share: `UnseenScenarios.honest_share`.
      among_all: As `ClickLikelihood` has it.
      unseen_rows: Whether training scenarios have `UnseenRows`.
    """

    start: FactorStart
    item_scale: float
    user_share: float
    among_all: float = AMONG_ALL
    unseen_rows: bool = False


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
        if not clicks.copies_known:
            self._keys = clicks.keys
            self._by_key = np.argsort(self._keys, kind="stable")
            self._sorted_keys = self._keys[self._by_key]

    def kept(self, user_share: float, unseen_rows: bool) -> KeptFactors:
        """What a later state of the clicks starts from."""
        start = FactorStart(self._factors.basis_users, self._factors.basis_items)
        return KeptFactors(start, float(self._item_scale), user_share, self.among_all, unseen_rows)

    @property
    def order(self) -> np.ndarray:
        """int [number of scenarios], in which `without` is best asked for them: any."""
        return np.arange(self._factors.clicks.scenario_count)

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
        factors, clicks = self._factors, self._factors.clicks
        group = factors.likelihood.scenarios[scenario]
        own, known_by = self._pairs[scenario], self._with_copies(scenario)
        in_user, in_item = self._places
        u, v, among_all = factors.basis_users, factors.basis_items, self.among_all
        of_users, of_items = self._among_others(group, users, items)
        return self._assembled(
            _left_out(
                factors.user, users, u, factors.user_step,
                (clicks.users[known_by], v[clicks.items[known_by]], in_user[known_by]), of_users,
                among_all,
            ),
            _left_out(
                factors.item, items, v, factors.item_step,
                (clicks.items[own], factors.user_factors[clicks.users[own]], in_item[own]),
                of_items, among_all,
            ),
            self._popularity.features_without(scenario, items),
        )  # fmt: skip

    def refitted_without(self, scenarios: np.ndarray, seed: int) -> TableRows | None:
        """Rows of a fit that saw nothing of some scenarios, turned to the basis of this one.

        Args:
          scenarios: int [K], their numbers.
          seed: Of its first factors.

        Returns:
          As `rows`; None if nothing is known without these scenarios.
        """
        whole, scale, d = self._factors, self._item_scale, self.config.dimension
        left = whole.clicks.known_without(scenarios)
        if not left.any():
            return None
        clicks = whole.clicks.only(left)
        factors = ConditionalFactors(clicks, self.config, seed, among_all=self.among_all)
        popularity = Popularity(clicks, self.config.content_penalty)
        rows = ScenarioFactors(factors, popularity, scale).rows()
        turned = _rotation(
            (factors.user_factors, whole.user_factors, factors.user.total > 0),
            (factors.item_factors, whole.item_factors, factors.item.total > 0),
        )
        for part in rows:
            part[:, :d] = part[:, :d] @ turned
        return rows

    @property
    def among_all(self) -> float:
        """As `ClickLikelihood` has it."""
        return self._factors.likelihood.among_all

    @property
    def config(self) -> FactorConfig:
        """How they were fitted."""
        return self._factors.config

    def _with_copies(self, scenario: int) -> np.ndarray:
        """int [N], clicks by which a pair of the scenario is known: its own, and their copies."""
        own = self._pairs[scenario]
        if self._factors.clicks.copies_known:
            return own
        pairs = np.unique(self._keys[own])
        start = np.searchsorted(self._sorted_keys, pairs)
        count = np.searchsorted(self._sorted_keys, pairs, side="right") - start
        place = np.repeat(start - (np.cumsum(count) - count), count) + np.arange(count.sum())
        return self._by_key[place]

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """int64 [N] each, where `Step.in_group` has the user and the item of a click."""
        factors, clicks = self._factors, self._factors.clicks
        by_user, by_item = (np.empty(len(clicks.users), np.int64) for _ in range(2))
        order = np.argsort(clicks.scenario, kind="stable")
        user = item = start = 0
        for group in factors.likelihood.groups[:-1]:
            own = order[start : start + int(group.user_clicks.sum())]
            by_user[own] = user + np.searchsorted(group.users, clicks.users[own])
            by_item[own] = item + np.searchsorted(group.items, clicks.items[own])
            user, item, start = user + len(group.users), item + len(group.items), start + len(own)
        return by_user, by_item

    def _among_others(
        self, group: Choices | None, users: np.ndarray, items: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What users' and items' clicks are compared with, the group's not being there.

        float64 [N, d], [M, d].
        """
        factors, everything = self._factors, self._factors.likelihood.everything
        if group is None:
            return factors.user_step.among_all[users], factors.item_step.among_all[items]
        x, y = factors.user_factors, factors.basis_items
        clicks = everything.user_clicks.sum()
        part = group.user_clicks.sum() / max(clicks - group.user_clicks.sum(), 1.0)
        moved = (
            (everything.item_clicks @ y[everything.items]) / clicks
            - (group.item_clicks @ y[group.items]) / group.item_clicks.sum(),
            (everything.user_clicks @ x[everything.users]) / clicks
            - (group.user_clicks @ x[group.users]) / group.user_clicks.sum(),
        )
        return (
            factors.user_step.among_all[users] + part * moved[0],
            factors.item_step.among_all[items] + part * moved[1],
        )

    def products(
        self, scenario: int, honest: ConditionalFactors, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """By how much users' products with what they took exceed those with other items.

        For each click of a scenario another of its items is drawn, in proportion to its clicks, so
        that popularity tells nothing; a click whose user took that one, too, is left out.

        Args:
          scenario: Its number.
          honest: A fit that did not see its clicks.
          rng: Draws the items.

        Returns:
          float64 [N] each: of the rows of `without`, and of those of `honest`; and bool [N],
          whether `honest` knows both items by clicks, not by their content alone.
        """
        gone = self._pairs[scenario]
        users, user = np.unique(self._factors.clicks.users[gone], return_inverse=True)
        items, item = np.unique(self._factors.clicks.items[gone], return_inverse=True)
        other = rng.permutation(item)
        taken = user * len(items) + item
        free = ~np.isin(user * len(items) + other, taken)
        user, item, other = user[free], item[free], other[free]
        rows, d = self.without(scenario, users, items), self._factors.config.dimension
        sides = (
            (rows.user[:, :d], rows.item[:, :d]),
            (honest.user_factors[users], honest.item_factors[items] * self._item_scale),
        )
        first, second = (np.sum(u[user] * (v[item] - v[other]), axis=1) for u, v in sides)
        known = honest.item.total[items] > 0
        return first, second, known[item] & known[other]

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
    clicks: Clicks,
    config: FactorConfig,
    seed: int,
    kept: KeptFactors | None = None,
    among_all: float = AMONG_ALL,
) -> ScenarioFactors:
    """`ScenarioFactors` of clicks.

    Args:
      clicks, config, seed: As of `ConditionalFactors`.
      kept: Of an earlier state of the clicks: it goes on in their basis and scale, and compares as
        they do.
      among_all: As of `ConditionalFactors`, where nothing is kept.
    """
    popularity = Popularity(clicks, config.content_penalty)
    if kept is None:
        factors = ConditionalFactors(clicks, config, seed, among_all=among_all)
        return ScenarioFactors(factors, popularity)
    factors = ConditionalFactors(clicks, config, seed, kept.start, kept.among_all)
    return ScenarioFactors(factors, popularity, kept.item_scale)


def _rotation(*sides: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """The rotation [d, d] that takes factors nearest to others: orthogonal Procrustes.

    Args:
      sides: Of each, which count alike: factors and the others, [N, d]; bool [N], which rows count.
    """
    products = 0.0
    for factors, others, counted in sides:
        first, second = factors[counted], others[counted]
        size = np.linalg.norm(first) * np.linalg.norm(second)
        products = products + first.T @ second / max(size, 1e-12)
    left, _, right = np.linalg.svd(products)
    return left @ right


def _left_out(
    side: Side,
    rows: np.ndarray,
    factors: np.ndarray,
    step: Step,
    gone: tuple[np.ndarray, np.ndarray, np.ndarray],
    among_others: np.ndarray,
    among_all: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors, whether known, and prior means of `rows` without a scenario's pairs.

    The slope is that of the clicks that are left; the curvature falls as their number does.

    Args:
      side: Users or items.
      rows: int [N].
      factors: float64 [.., d], from which the side's last step is taken, and which content
        foretells.
      step: This step, of all pairs.
      gone: Of the clicks that are left out: int [K], the row of each; float64 [K, d], the other
        side's factors; int [K], places in `step.in_group`.
      among_others: float64 [N, d], what clicks are compared with among those of all others.
      among_all: As `ClickLikelihood` has it.
    """
    place = np.searchsorted(rows, gone[0])
    count, lost = np.bincount(place, minlength=len(rows)), np.zeros((len(rows), factors.shape[1]))
    np.add.at(lost, place, gone[1] - (1.0 - among_all) * step.in_group[gone[2]])
    total = side.total[rows]
    rest = total - count
    slope = step.slope[rows] - lost + among_all * total[:, None] * step.among_all[rows]
    slope -= among_all * rest[:, None] * among_others
    slope[rest == 0] = 0.0
    left = (rest / np.maximum(total, 1.0)).astype(np.float32)
    curvature = step.curvature[rows] * left[:, None]
    prior = side.prior(factors.shape[1])[rows]
    if side.map is not None:
        # The map without what the scenario told of its rows.
        content = side.content[rows]
        less = known_weight(total) - known_weight(rest)
        gram = side.gram - (content * less[:, None]).T @ content
        moment = side.moment - (content * less[:, None]).T @ factors[rows]
        prior = content @ np.linalg.solve(gram, moment)
    return newton(factors[rows], slope, curvature, prior, side.penalty), rest > 0, prior
