"""What is expected of clicks, given factors: the parts of a Newton step of their likelihood.

Of a group of clicks, of which a pair has one or none, user u and item i have in expectation

  w_ui = 1 / (1 + exp(-<u, v_i> - a_u - b_i)),

where the levels a and b make the expected clicks of each user and on each item as many as there
are. So the logarithmic likelihood has, for a user, the slope sum_(clicks) v_i - sum_i w_ui v_i and
the curvature sum_i w_ui (1 - w_ui) (v_i - m) (v_i - m)^T, m being the mean by these weights, since
the level moves along; and for an item the same with users. Far from zero these are not those at
zero: who likes a popular item much expects little else, and who has taken most of a group's items
says little by it.

Among all clicks a pair of several scenarios stands more than once, and in a group of very many
items and users all this would cost too much. There factors are taken to be normal, as they are in
proportion to clicks, and clicks to be few: then <u, v_i> moves the mean of v by Cov u, and nothing
else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

AMONG_ALL = 0.25
"""How much of a click is compared with the clicks of all scenarios; the rest with its own's. By
default, and the least that `UnseenScenarios` chooses."""
_MOST_CELLS = 2**26
"""Users times items of a group that is looked at pair by pair."""
_BLOCK_ROWS, _BLOCK_CELLS = 32_768, 2**18
"""Users times items that are looked at in one piece."""
_FURTHEST_LEVEL = 2.0
"""The most that a level changes at once."""
_LEAST, _LARGEST = 1e-6, 40.0


@dataclass(frozen=True)
class Clicks:
    """Positive pairs, and the scenario of each.

    Attributes:
      users, items: int [N], rows.
      scenario: int [N], from 0; -1 for a background pair, which is in none. A pair of several
        scenarios stands once for each.
      user_count, item_count, scenario_count: How many there are of each.
      user_content: float [U, c], what is known of users beside their clicks; None: nothing.
      item_content: float [I, c].
      copies_known: Whether a pair of several scenarios is known without one of them: as where users
        come again, and not where its scenarios are all that one click has.
    """

    users: np.ndarray
    items: np.ndarray
    scenario: np.ndarray
    user_count: int
    item_count: int
    scenario_count: int
    user_content: np.ndarray | None = None
    item_content: np.ndarray | None = None
    copies_known: bool = True

    def __post_init__(self) -> None:
        if not len(self.users):
            raise ValueError("Factors need at least one pair to be fitted on. Received: none.")
        for name, count in (("user_content", self.user_count), ("item_content", self.item_count)):
            content = getattr(self, name)
            if content is not None and (content.ndim != 2 or len(content) != count):
                raise ValueError(
                    f"`{name}` must have one row for each of the {count} rows. "
                    f"Received: the shape {content.shape}."
                )

    @property
    def keys(self) -> np.ndarray:
        """int64 [N], a number for each pair of a user and an item."""
        return self.users.astype(np.int64) * self.item_count + self.items

    def known_without(self, scenarios: np.ndarray) -> np.ndarray:
        """bool [N]: which clicks are known where nothing of these scenarios, int [K], is."""
        left = ~np.isin(self.scenario, scenarios)
        if not self.copies_known:
            left &= ~np.isin(self.keys, self.keys[~left])
        return left

    def only(self, kept: np.ndarray) -> "Clicks":
        """The clicks of a mask, bool [N], at least one of them."""
        parts = {name: getattr(self, name)[kept] for name in ("users", "items", "scenario")}
        return replace(self, **parts)


class Moments(NamedTuple):
    """Of the other side's factors, as each row's clicks are expected to be; both for one click.

    Attributes:
      first: float64 [N, d], what is subtracted from the factor of what was clicked.
      central: float32 [N, d (d + 1) / 2], the curvature, `packed`.
    """

    first: np.ndarray
    central: np.ndarray


@dataclass
class Choices:
    """Clicks that are compared with each other: of a scenario, of what is in none, or all.

    Attributes:
      users, items: int [X], [Y], rows, ascending.
      user_clicks, item_clicks: float64 [X], [Y], how many each has.
      share: How much of the logarithmic likelihood of a click this group is.
      normal: Whether factors are taken to be normal; then levels stay as they are.
      user_level, item_level: float64 [X], [Y], a and b.
    """

    users: np.ndarray
    user_clicks: np.ndarray
    items: np.ndarray
    item_clicks: np.ndarray
    share: float
    normal: bool
    user_level: np.ndarray = field(init=False)
    item_level: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.user_level = np.log(self.user_clicks)
        self.item_level = np.log(self.item_clicks / self.item_clicks.sum())

    def of_users(self, u: np.ndarray, v: np.ndarray) -> Moments:
        """What users' clicks are expected to be like, given factors [X, d], [Y, d]."""
        if self.normal:
            return _normal(u, v, self.item_clicks)
        levels = self.user_level, self.item_level
        return _moments(u, v, levels, self.user_clicks)

    def of_items(self, u: np.ndarray, v: np.ndarray) -> Moments:
        """What those who click items are expected to be like."""
        if self.normal:
            return _normal(v, u, self.user_clicks)
        levels = self.item_level, self.user_level
        return _moments(v, u, levels, self.item_clicks)

    def settle(self, u: np.ndarray, v: np.ndarray) -> None:
        """Moves the levels towards as many expected clicks as there are."""
        if not self.normal:
            _settle(self.user_level, u, v, self.item_level, self.user_clicks)
            _settle(self.item_level, v, u, self.user_level, self.item_clicks)


def expected_clicks(
    rows: np.ndarray, others: np.ndarray, levels: tuple[np.ndarray, np.ndarray]
) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of rows, and w of these and all others, float32 [n, M].

    Args:
      rows, others: [N, d], [M, d], factors.
      levels: [N], [M].
    """
    columns = np.c_[others, levels[1]].astype(np.float32).T
    for block in _blocks(len(rows), len(others)):
        w = np.c_[rows[block], np.ones(len(rows[block]))].astype(np.float32) @ columns
        w += levels[0][block, None].astype(np.float32)
        np.negative(w, out=w)
        np.exp(np.clip(w, -_LARGEST, _LARGEST, out=w), out=w)
        w += 1.0
        yield block, np.reciprocal(w, out=w)


class Step(NamedTuple):
    """The logarithmic likelihood around factors, of all rows of a side.

    Attributes:
      slope: float64 [N, d].
      curvature: float32 [N, d (d + 1) / 2], `packed`.
      among_all: float64 [N, d], what a row's click is compared with among all.
      in_group: float32 [M, d], the same in each other group of each row that has clicks there, in
        the order of `ClickLikelihood.groups`.
    """

    slope: np.ndarray
    curvature: np.ndarray
    among_all: np.ndarray
    in_group: np.ndarray


class ClickLikelihood:
    """Of clicks, given factors.

    Args:
      clicks: The pairs.
      among_all: How much of a click is compared with the clicks of all scenarios.

    Attributes:
      among_all: The same.
      scenarios: `Choices` of each scenario; None of one without a click.
      background: Of what is in none, or None.
      everything: Of all clicks.
    """

    def __init__(self, clicks: Clicks, among_all: float = AMONG_ALL) -> None:
        self.among_all = among_all
        own = 1.0 - among_all
        order = np.argsort(clicks.scenario, kind="stable")
        bounds = np.arange(-1, clicks.scenario_count + 1)
        places = np.searchsorted(clicks.scenario[order], bounds)
        parts = [
            _choices(clicks, order[start:stop], own) if stop > start else None
            for start, stop in pairwise(places)
        ]
        self.background, self.scenarios = parts[0], parts[1:]
        self.everything = _choices(clicks, order, among_all, normal=True)
        shape = (clicks.user_count, clicks.item_count)
        self.pairs = csr_matrix((np.ones(len(order)), (clicks.users, clicks.items)), shape=shape)
        self.transposed = self.pairs.T.tocsr()

    @property
    def groups(self) -> list[Choices]:
        """All of them; `everything` is the last one."""
        parts = [self.background, *self.scenarios, self.everything]
        return [part for part in parts if part is not None]

    def settle(self, u: np.ndarray, v: np.ndarray) -> None:
        """Of each group."""
        for group in self.groups:
            group.settle(u[group.users], v[group.items])

    def user_step(self, u: np.ndarray, v: np.ndarray) -> Step:
        """Around the factors of users [U, d], given those of items [I, d]."""
        parts = (
            (group.users, group.user_clicks * group.share,
             group.of_users(u[group.users], v[group.items]))
            for group in self.groups
        )  # fmt: skip
        return _step(self.pairs @ v, parts)

    def item_step(self, u: np.ndarray, v: np.ndarray) -> Step:
        """The same of items."""
        parts = (
            (group.items, group.item_clicks * group.share,
             group.of_items(u[group.users], v[group.items]))
            for group in self.groups
        )  # fmt: skip
        return _step(self.transposed @ u, parts)


def newton(
    factors: np.ndarray,
    slope: np.ndarray,
    curvature: np.ndarray,
    prior: np.ndarray,
    penalty: float,
    longest: float = np.inf,
) -> np.ndarray:
    """Factors after a step towards the most likely ones, float64 [N, d].

    Args:
      factors, slope, curvature: [N, d], [N, d], [N, d (d + 1) / 2], of the clicks alone.
      prior, penalty: Mean [N, d] and precision of the prior.
      longest: Of a step.
    """
    d = factors.shape[1]
    stepped = np.empty_like(factors)
    for first in range(0, len(factors), _BLOCK_ROWS):
        block = slice(first, first + _BLOCK_ROWS)
        left = unpacked(curvature[block], d) + penalty * np.eye(d)
        right = slope[block] + penalty * (prior[block] - factors[block])
        step = np.linalg.solve(left, right[..., None])[..., 0]
        length = np.linalg.norm(step, axis=1, keepdims=True)
        stepped[block] = factors[block] + step * np.minimum(1.0, longest / np.maximum(length, 1e-9))
    return stepped


def _step(sums: np.ndarray, parts: Iterable[tuple[np.ndarray, np.ndarray, Moments]]) -> Step:
    """Of rows, how much each counts, and moments of each group, the last of which is of all.

    Args:
      sums: float64 [N, d], of the other side's factors over each row's pairs.
      parts: Of each group.
    """
    slope = np.array(sums)
    curvature = np.zeros((len(sums), sums.shape[1] * (sums.shape[1] + 1) // 2), np.float32)
    firsts: list[np.ndarray] = []
    for rows, counts, moments in parts:
        slope[rows] -= counts[:, None] * moments.first
        curvature[rows] += counts[:, None].astype(np.float32) * moments.central
        firsts.append(moments.first)
    among_all = np.zeros_like(slope)
    among_all[rows] = firsts.pop()
    return Step(slope, curvature, among_all, np.concatenate(firsts).astype(np.float32))


def _choices(clicks: Clicks, pairs: np.ndarray, share: float, normal: bool = False) -> Choices:
    users, of_user = np.unique(clicks.users[pairs], return_counts=True)
    items, of_item = np.unique(clicks.items[pairs], return_counts=True)
    normal = normal or len(users) * len(items) > _MOST_CELLS
    return Choices(users, of_user.astype(float), items, of_item.astype(float), share, normal)


def packed(factors: np.ndarray) -> np.ndarray:
    """Products of each two numbers of a row, [N, d] -> [N, d (d + 1) / 2]."""
    first, second = np.triu_indices(factors.shape[1])
    return factors[:, first] * factors[:, second]


def unpacked(products: np.ndarray, dimension: int) -> np.ndarray:
    """float64 [N, d, d], symmetric, of what `packed` made."""
    first, second = np.triu_indices(dimension)
    whole = np.empty((len(products), dimension, dimension))
    whole[:, first, second] = whole[:, second, first] = products
    return whole


def _blocks(rows: int, columns: int) -> list[slice]:
    size = max(1, _BLOCK_CELLS // max(columns, 1))
    return [slice(start, start + size) for start in range(0, rows, size)]


def _normal(rows: np.ndarray, others: np.ndarray, clicks: np.ndarray) -> Moments:
    """Of rows [N, d], what they are compared with being normal."""
    mean = clicks @ others / clicks.sum()
    centred = others - mean
    covariance = (centred * clicks[:, None]).T @ centred / clicks.sum()
    central = covariance[np.triu_indices(len(mean))].astype(np.float32)
    return Moments(mean + rows @ covariance, np.broadcast_to(central, (len(rows), len(central))))


def _moments(
    rows: np.ndarray, others: np.ndarray, levels: tuple[np.ndarray, np.ndarray], clicks: np.ndarray
) -> Moments:
    d, single = rows.shape[1], others.astype(np.float32)
    both = np.concatenate([np.ones((len(single), 1), np.float32), single, packed(single)], axis=1)
    first, central = np.empty((len(rows), d)), np.empty((len(rows), both.shape[1] - d - 1))
    for block, w in expected_clicks(rows, others, levels):
        expected = w @ both[:, : d + 1]
        w *= 1.0 - w
        free = w @ both
        weight = np.maximum(free[:, :1], _LEAST)
        mean = free[:, 1 : d + 1] / weight
        count = clicks[block, None]
        # The level would make up for what is missing, with what it reaches.
        first[block] = (expected[:, 1:] + (count - expected[:, :1]) * mean) / count
        central[block] = (free[:, d + 1 :] - weight * packed(mean)) / count
    return Moments(first, central.astype(np.float32))


def _settle(
    level: np.ndarray,
    rows: np.ndarray,
    others: np.ndarray,
    other_level: np.ndarray,
    clicks: np.ndarray,
) -> None:
    """A Newton step of the rows' level."""
    for block, w in expected_clicks(rows, others, (level, other_level)):
        missing = clicks[block] - w.sum(axis=1)
        w *= 1.0 - w
        step = missing / np.maximum(w.sum(axis=1), _LEAST)
        level[block] += np.clip(step, -_FURTHEST_LEVEL, _FURTHEST_LEVEL)
