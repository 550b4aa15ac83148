"""Factors of clicks, given how many clicks a user has in a scenario.

A scenario decides what is shown, and with it most of what is clicked. A factorisation that takes
every item of the catalogue that a user did not click for a refusal learns who was in which
scenario. This one compares an item with the other items of the same scenario alone: of the n clicks
of a user u in a scenario s, item i gets in expectation

  n p_si exp(<u, v_i>) / sum_j p_sj exp(<u, v_j>),

p_si being the item's share of the scenario's clicks, so that neither what a scenario shows nor how
popular an item is in it reaches the factors. But to which scenarios a user comes tells of him, too:
who takes old films likes other old films than others do. So a click's logarithmic likelihood counts
three quarters, and one quarter the same with the clicks of all scenarios in place of one's. Each
sweep takes one Newton step of both from u = 0 (then from v = 0):

  u = (sum_s n_us Cov_s(v) + a I)^-1 (sum_(clicks) (v_i - mean_s(v)) + a m_u)

with mean and covariance over the scenario's clicks, a quarter of the way to those over all, and m_u
= what the user's content says, by a ridge regression of the factors on it. Items are solved alike.
Users are then whitened, so that directions without evidence shrink away. All is a sum over
scenarios: to leave one out is to subtract (`leave_scenario_out`).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.config.data import FactorConfig

_BLOCK_ROWS = 32_768
_AMONG_ALL = 0.25
"""How much of a click is compared with the clicks of all scenarios; the rest with its own's."""


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


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of factors over clicks, which a click of a group is compared with.

    Attributes:
      pairs: float64 [G], of each group.
      first, second: float64 [G, d], [G, d, d], means of the factors and of their products in it.
    """

    pairs: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @cached_property
    def mean(self) -> np.ndarray:
        """float64 [G, d], part that of the group, part that of all."""
        return (1.0 - _AMONG_ALL) * self.first + _AMONG_ALL * self._of_all[0]

    @cached_property
    def covariance(self) -> np.ndarray:
        """float64 [G, d, d], likewise."""
        own = self.second - self.first[:, :, None] * self.first[:, None]
        return (1.0 - _AMONG_ALL) * own + _AMONG_ALL * self._of_all[1]

    def change_without(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """What is added to `mean` and `covariance` of the others, had this group no pair.

        float64 [d], [d, d].
        """
        own = self.pairs[group] * self.first[group], self.pairs[group] * self.second[group]
        first, second = (whole - part for whole, part in zip(self._sums, own, strict=True))
        without = _central(self.pairs.sum() - self.pairs[group], first, second)
        mean, covariance = (new - old for new, old in zip(without, self._of_all, strict=True))
        return _AMONG_ALL * mean, _AMONG_ALL * covariance

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        return self.pairs @ self.first, np.tensordot(self.pairs, self.second, axes=1)

    @cached_property
    def _of_all(self) -> tuple[np.ndarray, np.ndarray]:
        return _central(self.pairs.sum(), *self._sums)


class Side:
    """Users or items: how often each row is in each group, and the solution of all rows.

    Args:
      rows, groups: int [N], of each pair.
      row_count, group_count: How many there are.
      content: float [row_count, c] or None.
      penalty, content_penalty: As `FactorConfig` has them.
    """

    def __init__(
        self,
        rows: np.ndarray,
        groups: np.ndarray,
        row_count: int,
        group_count: int,
        content: np.ndarray | None,
        penalty: float,
        content_penalty: float,
    ) -> None:
        ones = np.ones(len(rows))
        self.counts = csr_matrix((ones, (rows, groups)), shape=(row_count, group_count))
        self.total = np.asarray(self.counts.sum(axis=1)).ravel()
        self.penalty = penalty
        self.content = None if content is None else with_constant(content)
        self.content_penalty = content_penalty
        self.map: np.ndarray | None = None
        self.gram = self.moment = np.zeros((0, 0))

    def prior(self, dimension: int) -> np.ndarray:
        """The mean of the prior of every row, [rows, d]."""
        if self.map is None or self.content is None:
            return np.zeros((len(self.total), dimension))
        return self.content @ self.map

    def fit_prior(self, factors: np.ndarray) -> None:
        """The regression of the leading rows' factors on content; rows count by how well known."""
        if self.content is None:
            return
        content = self.content[: len(factors)]
        weighted = content * known_weight(self.total[: len(factors)])[:, None]
        self.gram = weighted.T @ content
        self.gram += self.content_penalty * np.eye(len(self.gram))
        self.moment = weighted.T @ factors
        self.map = np.linalg.solve(self.gram, self.moment)

    def moments(self, factors: np.ndarray) -> Moments:
        """Of the factors [rows, d] over the pairs of each group."""
        d = factors.shape[1]
        pairs = np.asarray(self.counts.sum(axis=0)).ravel()
        each = np.maximum(pairs, 1.0)[:, None]
        square = np.zeros((len(pairs), d * d))
        for first in range(0, len(factors), _BLOCK_ROWS):
            block = slice(first, first + _BLOCK_ROWS)
            outer = (factors[block, :, None] * factors[block, None]).reshape(-1, d * d)
            square += self.counts[block].T @ outer
        return Moments(pairs, (self.counts.T @ factors) / each, (square / each).reshape(-1, d, d))

    def solve(self, sums: np.ndarray, moments: Moments) -> np.ndarray:
        """The factors [rows, d], from the sums of the other side's factors over a row's pairs."""
        d = sums.shape[1]
        right = sums - self.counts @ moments.mean + self.penalty * self.prior(d)
        solved = np.empty_like(sums)
        flat = moments.covariance.reshape(-1, d * d)
        for first in range(0, len(sums), _BLOCK_ROWS):
            block = slice(first, first + _BLOCK_ROWS)
            left = (self.counts[block] @ flat).reshape(-1, d, d) + self.penalty * np.eye(d)
            solved[block] = np.linalg.solve(left, right[block, :, None])[..., 0]
        return solved


class FactorStart(NamedTuple):
    """Factors of an earlier state of the clicks, float64 [U', d], [I', d].

    Attributes:
      users, items: `basis_users` and `basis_items` of the earlier fit.
    """

    users: np.ndarray
    items: np.ndarray


class ConditionalFactors:
    """Factors of users and items; of the same bits for the same clicks and seed.

    Args:
      clicks: What is fitted.
      config: How.
      seed: Of the first factors.
      start: Of an earlier fit, whose rows are the leading ones of these; None: there is none.

    Attributes:
      user, item: `Side`s.
      user_factors, item_factors: float64 [U, d], [I, d]; of a row without pairs what its content
        says, or 0.
    """

    def __init__(
        self, clicks: Clicks, config: FactorConfig, seed: int, start: FactorStart | None = None
    ) -> None:
        self.clicks = clicks
        self.config = config
        groups = np.where(clicks.scenario < 0, clicks.scenario_count, clicks.scenario)
        shared = (clicks.scenario_count + 1,)
        self.user = Side(
            clicks.users, groups, clicks.user_count, *shared, clicks.user_content,
            config.user_penalty, config.content_penalty,
        )  # fmt: skip
        self.item = Side(
            clicks.items, groups, clicks.item_count, *shared, clicks.item_content,
            config.item_penalty, config.content_penalty,
        )  # fmt: skip
        pairs = csr_matrix(
            (np.ones(len(groups)), (clicks.users, clicks.items)),
            shape=(clicks.user_count, clicks.item_count),
        )
        both = (pairs, pairs.T.tocsr())
        u, v = self._swept(*both, seed) if start is None else self._grown(*both, start)
        self.item_moments = self.item.moments(v)
        self.user_sums = pairs @ v
        self.user_factors = self.user.solve(self.user_sums, self.item_moments)
        self.user_moments = self.user.moments(self.user_factors)
        self.item_sums = both[1] @ self.user_factors
        self.basis_users, self.basis_items = u, v
        self.item_factors = self.item.solve(self.item_sums, self.user_moments)

    def _swept(
        self, pairs: csr_matrix, transposed: csr_matrix, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Users' and items' factors [U, d], [I, d] after all sweeps from random ones."""
        v = np.random.default_rng(seed).normal(size=(pairs.shape[1], self.config.dimension)) * 0.3
        for sweep in range(self.config.sweeps):
            u = self.user.solve(pairs @ v, self.item.moments(v))
            v = self.item.solve(transposed @ u, self.user.moments(u))
            whiten, back = _whitening(u[self.user.total > 0])
            u, v = u @ whiten, v @ back
            if sweep >= 2:  # the first factors are noise
                self.user.fit_prior(u)
                self.item.fit_prior(v)
        return u, v

    def _grown(
        self, pairs: csr_matrix, transposed: csr_matrix, start: FactorStart
    ) -> tuple[np.ndarray, np.ndarray]:
        """The earlier factors as they are, and new rows solved given them: the basis stays.

        What all rows have become by the new pairs shows in the last solution, which users and items
        are given in this basis. More sweeps would turn it, and with it what the network has learned
        of it, and contexts that were made of it.
        """
        self.user.fit_prior(start.users)
        self.item.fit_prior(start.items)
        users, items = len(start.users), len(start.items)
        u = np.pad(start.users, ((0, pairs.shape[0] - users), (0, 0)))
        v = np.pad(start.items, ((0, pairs.shape[1] - items), (0, 0)))
        for _ in range(2):  # new users by the known items, new items by all users, and once more
            u[users:] = self.user.solve(pairs @ v, self.item.moments(v))[users:]
            v[items:] = self.item.solve(transposed @ u, self.user.moments(u))[items:]
        self.user.fit_prior(u)
        self.item.fit_prior(v)
        return u, v


def _central(pairs: float, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [d] and covariance [d, d] from the sums over so many pairs."""
    mean = first / max(pairs, 1.0)
    return mean, second / max(pairs, 1.0) - mean[:, None] * mean


def with_constant(content: np.ndarray) -> np.ndarray:
    """Content [N, c] -> [N, c + 1], the last column 1."""
    return np.concatenate([content, np.ones((len(content), 1))], axis=1).astype(np.float64)


def known_weight(count: np.ndarray) -> np.ndarray:
    """How much a row with so many pairs counts in a regression on content."""
    return count / (count + 10.0)


def _whitening(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W and its inverse, symmetric, such that factors W are uncorrelated, of mean square 1.

    The symmetric root is the one that moves the basis least, so that sweeps agree on it.
    """
    values, basis = np.linalg.eigh(factors.T @ factors / len(factors))
    root = np.sqrt(np.maximum(values, 1e-8))
    return (basis / root) @ basis.T, (basis * root) @ basis.T
