"""What is known of scenarios that a fit has not seen, measured on a quarter of the training ones.

It says three things of the factors that a support will meet:

- How much of a click is to be compared with the clicks of all scenarios. To which scenarios a user
  comes may tell little of what he takes in a new one, or most of it: who reads papers of one field
  and topic takes these wherever he meets them. Where more than a quarter tells more, it is more.
- How much less a product of a user and an item tells of a new scenario than of those learned.
- Whether users' factors tell so much less of who takes the same, that what is learned from has to
  be fitted without what it is of (`unseen_rows`).
"""

from collections.abc import Callable
from copy import deepcopy
from functools import cached_property

import numpy as np

from cmml_tf.config.data import FactorConfig
from cmml_tf.embeddings.click_choices import AMONG_ALL, Clicks
from cmml_tf.embeddings.conditional_factors import ConditionalFactors
from cmml_tf.embeddings.leave_scenario_out import ScenarioFactors

_LEFT_OUT = 0.25
_MOST_COMPARED, _NEWTON_STEPS = 2**18, 16
"""Of scenarios, the share that the second fit does not see, and clicks of them at the most."""
_TELLING, _ROUNDING = 0.55, 1e-6
"""How often the larger product is of what was taken, from where on content tells something."""
_HONEST, _DEVIATIONS, _ENOUGH_SCENARIOS = 0.8, 2.0, 6
"""How much of what the rows of training tell those of a new scenario must tell; how many standard
errors less is no chance; of fewer compared scenarios nothing is concluded."""
_FURTHEST = 500.0  # of an exponent
_MORE_AMONG_ALL, _CLEARLY = (0.5, 1.0), 0.005
"""What is tried, and by how much it must be better, in logarithms of a probability."""
_EXPECTED_TAKERS = 8.0
"""How many an item is shrunk by towards one that nobody took, as a support is read."""


class UnseenScenarios:
    """A quarter of the scenarios, and factors that were fitted without them.

    Args:
      clicks: Of all scenarios.
      config: Of the fits.
      seed: Of their first factors, and of which scenarios they leave out.
    """

    def __init__(self, clicks: Clicks, config: FactorConfig, seed: int) -> None:
        self._clicks, self._config, self._seed = clicks, config, seed
        self._rng_state = np.random.default_rng(seed)
        counts = np.bincount(clicks.scenario + 1, minlength=clicks.scenario_count + 1)[1:]
        chosen = self._rng_state.permutation(np.flatnonzero(counts))
        chosen = chosen[: -(-len(chosen) // round(1 / _LEFT_OUT))]
        self._compared = chosen[counts[chosen].cumsum() - counts[chosen] < _MOST_COMPARED]
        self._left = clicks.known_without(chosen)
        order = np.argsort(clicks.scenario, kind="stable")
        bounds = np.searchsorted(clicks.scenario[order], [self._compared, self._compared + 1])
        self._pairs = [order[start:stop] for start, stop in bounds.T]
        self._fits: dict[float, ConditionalFactors] = {}

    @cached_property
    def among_all(self) -> float:
        """How much of a click is best compared with all, a quarter to 1.

        Of two items of a scenario that no fit saw, drawn by their clicks, a user took one: how
        likely that is by who else took them is what speaks for a fit.
        """
        best = AMONG_ALL
        if not self._any:
            return best
        told = self._told(best)
        for more in _MORE_AMONG_ALL:
            of_more = self._told(more)
            if of_more < told + _CLEARLY:
                del self._fits[more]  # a fit holds as much as the clicks do
                break
            del self._fits[best]
            best, told = more, of_more
        return best

    def honest_share(self, factors: ScenarioFactors) -> float:
        """How much less a product tells of a new scenario than of those that were learned.

        Of the probability that a user took one of two items, 1 / (1 + exp(-b x)), x being by how
        much his product with it is larger, the slope b is found twice: with the rows of training
        scenarios, and with rows of a fit that did not see these scenarios.

        Args:
          factors: Of all clicks.

        Returns:
          The second slope over the first, 0 to 1. 1 where nothing is left to fit or to compare; and
          where most items are in one scenario alone and their content tells next to nothing of a
          new one: products are at fault then for the items' part, and users' factors, which clicks
          in many scenarios have made, still tell who is alike.
        """
        if not self._any:
            return 1.0
        honest, rng = self._fit(factors.among_all), self._rng()
        compared = [factors.products(number, honest, rng) for number in self._compared]
        learned, new, known = (np.concatenate(part) for part in zip(*compared, strict=True))
        if not len(learned):
            return 1.0
        if 2 * np.count_nonzero(known) < len(known) and _is_ahead(new).mean() < _TELLING:
            return 1.0
        slope = _slope(learned)
        return float(np.clip(_slope(new) / slope, 0.0, 1.0)) if slope > 0 else 1.0

    def knows_too_much(self, factors: ScenarioFactors) -> bool:
        """Whether users' rows of training scenarios tell far more of these than of a new one.

        They are solved without a scenario's clicks, but from items that its users' factors, with
        these clicks, have made; where an item has few takers, it gives a user back what he is known
        by. Of two items of a scenario that no fit saw, how often is the one that a user took the
        one whose other takers are more like him? If what that is above one half is less than
        `_HONEST` of what it is with the rows of training, and by more than chance would make it,
        these rows mislead. Of fewer than 21 scenarios, six of which are compared, that is not
        known.

        Args:
          factors: Of all clicks.
        """
        if not self._any or len(self._compared) < _ENOUGH_SCENARIOS:
            return False
        users, d = self._fit(factors.among_all).user_factors, self._config.dimension
        learned = self._ahead(lambda number, *rows: factors.without(number, *rows).user[:, :d])
        new = self._ahead(lambda number, rows, items: users[rows])
        if not len(learned):
            return False
        # Both are of the same clicks: what is asked is the mean of one number of each.
        missing = _HONEST * (_is_ahead(learned) - 0.5) - (_is_ahead(new) - 0.5)
        by_chance = missing.std() / np.sqrt(len(missing))
        return bool(missing.mean() > _DEVIATIONS * by_chance)

    @property
    def _any(self) -> bool:
        """Whether something is left to fit, and something to compare."""
        return bool(self._left.any() and not self._left.all())

    def _rng(self) -> np.random.Generator:
        """Always the same numbers, behind those that chose the scenarios."""
        return deepcopy(self._rng_state)

    def _fit(self, among_all: float) -> ConditionalFactors:
        if among_all not in self._fits:
            self._fits[among_all] = ConditionalFactors(
                self._clicks.only(self._left), self._config, self._seed, among_all=among_all
            )
        return self._fits[among_all]

    def _ahead(self, rows_of: Callable[[int, np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """`_ahead_by_takers` of all that is compared.

        Args:
          rows_of: Of a scenario and its users and items, int [X], [Y], factors [X, d] of the users.
        """
        rng, found = self._rng(), [np.zeros(0)]
        for number, pairs in zip(self._compared, self._pairs, strict=True):
            users, user = np.unique(self._clicks.users[pairs], return_inverse=True)
            item = self._clicks.items[pairs]
            rows = rows_of(int(number), users, np.unique(item))
            found.append(_ahead_by_takers(rows, user, item, rng))
        return np.concatenate(found)

    def _told(self, among_all: float) -> float:
        """Mean logarithmic likelihood of what was taken, by who else took it."""
        users = self._fit(among_all).user_factors
        ahead = self._ahead(lambda number, rows, items: users[rows])
        spread = ahead.std() if len(ahead) else 0.0
        if not spread:
            return -np.log(2.0)
        ahead /= spread
        return float(-np.mean(np.logaddexp(0.0, -_slope(ahead) * ahead)))


def _ahead_by_takers(
    factors: np.ndarray, user: np.ndarray, item: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """By how much an item's other takers are more like a user than those of one he did not take.

    Args:
      factors: float64 [U, d], of users.
      user, item: int [N], clicks of a scenario.
      rng: Draws the other items, in proportion to their clicks.

    Returns:
      float64 [M], of clicks whose other item the user did not take, too.
    """
    items, item = np.unique(item, return_inverse=True)
    other = rng.permutation(item)
    free = ~np.isin(user * len(items) + other, user * len(items) + item)
    own = factors[user] - factors[user].mean(axis=0)
    takers, count = np.zeros((len(items), own.shape[1])), np.bincount(item, minlength=len(items))
    np.add.at(takers, item, own)
    own, item, other = own[free], item[free], other[free]
    by_item = (takers[item] - own) / (_EXPECTED_TAKERS + count[item] - 1.0)[:, None]
    by_other = takers[other] / (_EXPECTED_TAKERS + count[other])[:, None]
    return np.sum(own * (by_item - by_other), axis=1)


def _is_ahead(differences: np.ndarray) -> np.ndarray:
    """float64 [N]: 1 for what is larger than 0, one half for what is 0."""
    return (differences > _ROUNDING) + 0.5 * (np.abs(differences) <= _ROUNDING)


def _slope(differences: np.ndarray) -> float:
    """The most likely b where 1 / (1 + exp(-b x)) is the probability of what was seen each time.

    Its prior is normal with variance 1, so that a few differences say little.
    """
    slope = 0.0
    for _ in range(_NEWTON_STEPS):
        missed = 1.0 / (1.0 + np.exp(np.clip(slope * differences, -_FURTHEST, _FURTHEST)))
        uphill = differences @ missed - slope
        step = uphill / (np.square(differences) @ (missed * (1.0 - missed)) + 1.0)
        slope += np.clip(step, -1.0, 1.0)
    return slope
