"""Factors of clicks, given how many clicks a user has in a scenario.

A scenario decides what is shown, and with it most of what is clicked. A factorisation that takes
every item of the catalogue that a user did not click for a refusal learns who was in which
scenario. This one compares an item with the other items of the same scenario alone: of the n clicks
of a user u in a scenario s, item i gets in expectation

  n exp(<u, v_i> + b_si) / sum_j exp(<u, v_j> + b_sj),

the levels b being such that the expected clicks on each item are as many as there are, so that
neither what a scenario shows nor how popular an item is in it reaches the factors. But to which
scenarios a user comes tells of him, too: who takes old films likes other old films than others do.
So a click's logarithmic likelihood counts three quarters, and one quarter the same with the clicks
of all scenarios in place of one's; or more than a quarter (`UnseenScenarios`). The first sweeps
take one Newton step of both from u = 0 (then from v = 0):

  u = (sum_s n_us Cov_s(v) + a I)^-1 (sum_(clicks) (v_i - mean_s(v)) + a m_u)

with mean and covariance over the scenario's clicks, a quarter of the way to those over all, and m_u
= what the user's content says, by a ridge regression of the factors on it. Items are solved alike.
Users are then whitened, so that directions without evidence shrink away. From there on steps are
taken where the factors are, with the moments that are expected of them (`click_choices`): where
factors are large, and those of popular items are, a step from zero falls short. All is a sum over
scenarios: to leave one out is to subtract (`leave_scenario_out`).
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.config.data import FactorConfig
from cmml_tf.embeddings.click_choices import AMONG_ALL, ClickLikelihood, Clicks, Step, newton

_BLOCK_ROWS = 32_768
_TURNS, _LONGEST = 2, 2.0
"""Of steps from where the factors are, behind the sweeps; the length of each of these at most."""


class FlatMoments(NamedTuple):
    """Mean and covariance of factors over clicks, which a click of a group is compared with.

    Attributes:
      mean, covariance: float64 [G, d], [G, d, d], part those of the group, part those of all.
    """

    mean: np.ndarray
    covariance: np.ndarray


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

    def moments(self, factors: np.ndarray, among_all: float) -> FlatMoments:
        """Of the factors [rows, d] over the pairs of each group, so much of it over all pairs."""
        d = factors.shape[1]
        pairs = np.asarray(self.counts.sum(axis=0)).ravel()
        each = np.maximum(pairs, 1.0)[:, None]
        square = np.zeros((len(pairs), d * d))
        for first in range(0, len(factors), _BLOCK_ROWS):
            block = slice(first, first + _BLOCK_ROWS)
            outer = (factors[block, :, None] * factors[block, None]).reshape(-1, d * d)
            square += self.counts[block].T @ outer
        first = (self.counts.T @ factors) / each
        parts = pairs, first, (square / each).reshape(-1, d, d)
        own = parts[2] - first[:, :, None] * first[:, None]
        mean, covariance = _central(pairs.sum(), pairs @ first, np.tensordot(*parts[::2], axes=1))
        kept = 1.0 - among_all
        return FlatMoments(kept * first + among_all * mean, kept * own + among_all * covariance)

    def solve(self, sums: np.ndarray, moments: FlatMoments) -> np.ndarray:
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

    def stepped(self, factors: np.ndarray, step: Step, longest: float = np.inf) -> np.ndarray:
        """`newton` of all rows."""
        prior = self.prior(factors.shape[1])
        return newton(factors, step.slope, step.curvature, prior, self.penalty, longest)


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
      among_all: As `ClickLikelihood` has it.

    Attributes:
      user, item: `Side`s.
      likelihood: Of the clicks.
      basis_users, basis_items: float64 [U, d], [I, d], from which the last step of users is taken.
      user_step, item_step: These last steps, the second one from users' new factors.
      user_factors, item_factors: float64 [U, d], [I, d]; of a row without pairs what its content
        says, or 0.
    """

    def __init__(
        self,
        clicks: Clicks,
        config: FactorConfig,
        seed: int,
        start: FactorStart | None = None,
        among_all: float = AMONG_ALL,
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
        self.likelihood = ClickLikelihood(clicks, among_all)
        u, v = self._swept(seed) if start is None else self._grown(start)
        self.basis_users, self.basis_items = u, v
        self.user_step = self.likelihood.user_step(u, v)
        self.user_factors = self.user.stepped(u, self.user_step)
        self.item_step = self.likelihood.item_step(self.user_factors, v)
        self.item_factors = self.item.stepped(v, self.item_step)

    def _swept(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Users' and items' factors [U, d], [I, d] after all sweeps from random ones."""
        of, among_all = self.likelihood, self.likelihood.among_all
        shape = (self.clicks.item_count, self.config.dimension)
        v = np.random.default_rng(seed).normal(size=shape) * 0.3
        for sweep in range(self.config.sweeps):
            u = self.user.solve(of.pairs @ v, self.item.moments(v, among_all))
            v = self.item.solve(of.transposed @ u, self.user.moments(u, among_all))
            u, v = self._whitened(u, v)
            if sweep >= 2:  # the first factors are noise
                self.user.fit_prior(u)
                self.item.fit_prior(v)
        of.settle(u, v)
        for _ in range(_TURNS):
            u = self.user.stepped(u, of.user_step(u, v), _LONGEST)
            u, v = self._whitened(u, v)
            self.user.fit_prior(u)
            of.settle(u, v)
            v = self.item.stepped(v, of.item_step(u, v), _LONGEST)
            self.item.fit_prior(v)
            of.settle(u, v)
        return u, v

    def _whitened(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        whiten, back = _whitening(u[self.user.total > 0])
        return u @ whiten, v @ back

    def _grown(self, start: FactorStart) -> tuple[np.ndarray, np.ndarray]:
        """The earlier factors as they are, and new rows solved given them: the basis stays.

        What all rows have become by the new pairs shows in the last solution, which users and items
        are given in this basis. More sweeps would turn it, and with it what the network has learned
        of it, and contexts that were made of it.
        """
        of, among_all = self.likelihood, self.likelihood.among_all
        self.user.fit_prior(start.users)
        self.item.fit_prior(start.items)
        users, items = len(start.users), len(start.items)
        u = np.pad(start.users, ((0, self.clicks.user_count - users), (0, 0)))
        v = np.pad(start.items, ((0, self.clicks.item_count - items), (0, 0)))
        for _ in range(2):  # new users by the known items, new items by all users, and once more
            u[users:] = self.user.solve(of.pairs @ v, self.item.moments(v, among_all))[users:]
            v[items:] = self.item.solve(of.transposed @ u, self.user.moments(u, among_all))[items:]
        of.settle(u, v)
        for _ in range(_TURNS):
            u[users:] = self.user.stepped(u, of.user_step(u, v), _LONGEST)[users:]
            v[items:] = self.item.stepped(v, of.item_step(u, v), _LONGEST)[items:]
            of.settle(u, v)
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
