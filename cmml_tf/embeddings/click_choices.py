"""What is expected of clicks, given factors: the parts of a Newton step of their likelihood.

Of the n clicks of user u in a group of clicks, item i gets in expectation

  w_ui = n p_ui,   p_ui = exp(<u, v_i> + b_i) / sum_j exp(<u, v_j> + b_j),

where the level b_i makes the expected clicks on each item as many as there are. So the likelihood
of the clicks has, for a user, the slope sum_(clicks) v_i - n E_u[v] and the curvature n Cov_u[v],
moments over p_u; and for an item of c clicks sum_(clicks) u - c E_i[u] and c Cov_i[u], moments over
w_i. Far from zero these are not those at zero: who likes a popular item much expects little else.

A group of very many items or users takes a part of them for the whole, drawn by clicks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

AMONG_ALL = 0.25
"""How much of a click is compared with the clicks of all scenarios; the rest with its own's."""
_MOST_ITEMS, _MOST_USERS = 4096, 8192
"""How many a group compares with."""
_BLOCK_ROWS, _BLOCK_CELLS = 32_768, 2**22
"""Users times items that are looked at in one piece."""
_FURTHEST_LEVEL = 2.0
"""The most that a level changes at once."""
_LEAST, _LARGEST = 1e-9, 40.0


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
    """

    users: np.ndarray
    items: np.ndarray
    scenario: np.ndarray
    user_count: int
    item_count: int
    scenario_count: int
    user_content: np.ndarray | None = None
    item_content: np.ndarray | None = None

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


class Moments(NamedTuple):
    """Of the other side's factors, as each row's clicks are expected to be.

    Attributes:
      first: float64 [N, d].
      central: float32 [N, d (d + 1) / 2], covariance, `packed`.
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
      level: float64 [Y], b.
    """

    users: np.ndarray
    user_clicks: np.ndarray
    items: np.ndarray
    item_clicks: np.ndarray
    share: float
    level: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.level = np.log(self.item_clicks / self.item_clicks.sum())
        self._items, weight = _drawn(self.item_clicks, _MOST_ITEMS)
        self._item_offset = np.log(weight / self.item_clicks[self._items])
        self._users, self._user_weight = _drawn(self.user_clicks, _MOST_USERS)

    def totals(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """float64 [X], the logarithm of the sum under each user's p."""
        total = np.empty(len(u))
        for block, p, largest in self._of_users(u, v):
            total[block] = np.log(p.sum(axis=1)) + largest
        return total

    def of_users(self, u: np.ndarray, v: np.ndarray) -> Moments:
        """What users' clicks are expected to be like.

        Args:
          u, v: float64 [X', d], [Y, d], the factors of users, some of them or all, and of `items`.
        """
        both = _with_products(v[self._items])
        sums = np.empty((len(u), both.shape[1]), np.float32)
        for block, p, _ in self._of_users(u, v):
            sums[block] = (p @ both) / p.sum(axis=1, keepdims=True)
        return _moments(sums, u.shape[1])

    def of_items(self, u: np.ndarray, v: np.ndarray) -> Moments:
        """What those who click items are expected to be like, u, v: float64 [X, d], [Y, d]."""
        both = _with_products(u[self._users])
        sums = np.empty((len(v), both.shape[1]), np.float32)
        for block, w in self._of_items(u, v):
            sums[block] = (w @ both) / np.maximum(w.sum(axis=1, keepdims=True), _LEAST)
        return _moments(sums, v.shape[1])

    def expected(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """float64 [Y], sum_u w_ui, how many clicks are expected of each item."""
        count = np.empty(len(v))
        for block, w in self._of_items(u, v):
            count[block] = np.maximum(w.sum(axis=1), _LEAST)
        return count

    def settle(self, u: np.ndarray, v: np.ndarray) -> None:
        """Moves the level by how many clicks are expected of each item, and how many there are."""
        change = np.log(self.item_clicks / self.expected(u, v))
        self.level += np.clip(change, -_FURTHEST_LEVEL, _FURTHEST_LEVEL)

    def _of_users(
        self, u: np.ndarray, v: np.ndarray
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Blocks of users, float32 [x, Y'] in proportion to p, and the logarithm of its scale."""
        others = v[self._items].astype(np.float32)
        level = (self.level[self._items] + self._item_offset).astype(np.float32)
        for block in blocks(len(u), len(others)):
            p = u[block].astype(np.float32) @ others.T + level
            largest = p.max(axis=1)
            p -= largest[:, None]
            yield block, np.exp(p, out=p), largest

    def _of_items(self, u: np.ndarray, v: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Blocks of items, and float32 [y, X'], w."""
        others = u[self._users].astype(np.float32)
        offset = np.log(self._user_weight) - self.totals(u[self._users], v)
        for block in blocks(len(v), len(others)):
            w = v[block].astype(np.float32) @ others.T + offset.astype(np.float32)
            w += self.level[block, None].astype(np.float32)
            yield block, np.exp(np.minimum(w, _LARGEST, out=w), out=w)


class Step(NamedTuple):
    """The logarithmic likelihood around factors, of all rows of a side.

    Attributes:
      slope: float64 [N, d].
      curvature: float32 [N, d (d + 1) / 2], `packed`.
      among_all: Moments [N, ...] of what a row's clicks are compared with among all.
    """

    slope: np.ndarray
    curvature: np.ndarray
    among_all: Moments


class ClickLikelihood:
    """Of clicks, given factors.

    Args:
      clicks: The pairs.

    Attributes:
      scenarios: `Choices` of each scenario; None of one without a click.
      background: Of what is in none, or None.
      everything: Of all clicks.
    """

    def __init__(self, clicks: Clicks) -> None:
        own = 1.0 - AMONG_ALL
        order = np.argsort(clicks.scenario, kind="stable")
        bounds = np.arange(-1, clicks.scenario_count + 1)
        places = np.searchsorted(clicks.scenario[order], bounds)
        parts = [
            _choices(clicks, order[start:stop], own) if stop > start else None
            for start, stop in pairwise(places)
        ]
        self.background, self.scenarios = parts[0], parts[1:]
        self.everything = _choices(clicks, order, AMONG_ALL)
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
    for rows, counts, moments in parts:
        slope[rows] -= counts[:, None] * moments.first
        curvature[rows] += counts[:, None].astype(np.float32) * moments.central
    first, central = np.zeros_like(slope), np.zeros_like(curvature)
    first[rows], central[rows] = moments
    return Step(slope, curvature, Moments(first, central))


def _choices(clicks: Clicks, pairs: np.ndarray, share: float) -> Choices:
    users, of_user = np.unique(clicks.users[pairs], return_counts=True)
    items, of_item = np.unique(clicks.items[pairs], return_counts=True)
    return Choices(users, of_user.astype(float), items, of_item.astype(float), share)


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


def _with_products(factors: np.ndarray) -> np.ndarray:
    single = factors.astype(np.float32)
    return np.concatenate([single, packed(single)], axis=1)


def _moments(sums: np.ndarray, d: int) -> Moments:
    first = sums[:, :d]
    return Moments(first.astype(np.float64), sums[:, d:] - packed(first))


def blocks(rows: int, columns: int) -> list[slice]:
    """Parts of the rows, of a table of so many columns that is made part by part."""
    size = max(1, _BLOCK_CELLS // max(columns, 1))
    return [slice(start, start + size) for start in range(0, rows, size)]


def _drawn(clicks: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of all, or of some in the middle of `most` equal parts of the clicks; what each stands
    for, float64."""
    if len(clicks) <= most:
        return np.arange(len(clicks)), clicks
    bounds = np.cumsum(clicks)
    ends = (np.arange(most) + 0.5) / most * bounds[-1]
    places, times = np.unique(np.searchsorted(bounds, ends, side="right"), return_counts=True)
    return places, times * (bounds[-1] / most)
