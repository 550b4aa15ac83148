"""Popularity as a lift: how often an item was taken, over how often if all were alike.

A plain count says in how many scenarios an item was shown as much as how well it did there. The
lift divides by the clicks that the item would have had, were the clicks of each scenario equally
divided among the items that occur in it.
"""

import numpy as np

from cmml_tf.embeddings.click_choices import Clicks
from cmml_tf.embeddings.conditional_factors import with_constant

STATISTICS = 6
"""Columns of `lift_features` and the lift that content foretells."""
_PSEUDO_COUNT = 5.0


class Popularity:
    """Observed and expected clicks of each item, in the background and in scenarios.

    Args:
      clicks: What is counted.
      content_penalty: Of the ridge regression of the lift on content.

    Attributes:
      background, scenarios: float64 [I, 2], observed and expected clicks.
      map: float64 [c + 1], content with a constant to log lift; None without content.
    """

    def __init__(self, clicks: Clicks, content_penalty: float) -> None:
        count = clicks.item_count
        inside = clicks.scenario >= 0
        observed = np.bincount(clicks.items[~inside], minlength=count).astype(np.float64)
        share = observed.sum() / max(np.count_nonzero(observed), 1)
        self.background = np.stack([observed, np.where(observed > 0, share, 0.0)], axis=1)
        keys, pairs = np.unique(
            clicks.scenario[inside].astype(np.int64) * count + clicks.items[inside],
            return_counts=True,
        )
        scenario, item = np.divmod(keys, count)
        clicks_of = np.bincount(scenario, pairs, clicks.scenario_count)
        items_of = np.bincount(scenario, minlength=clicks.scenario_count)
        expected = (clicks_of / np.maximum(items_of, 1))[scenario]
        self._own = (np.searchsorted(scenario, np.arange(clicks.scenario_count + 1)), item)
        self._own_counts = np.stack([pairs, expected], axis=1)
        self.scenarios = np.stack(
            [np.bincount(item, part, count) for part in self._own_counts.T], axis=1
        )
        self._content = None if clicks.item_content is None else with_constant(clicks.item_content)
        self.map: np.ndarray | None = None
        if self._content is not None:
            target, weight = _regression(self.background + self.scenarios)
            weighted = self._content * weight[:, None]
            self._gram = weighted.T @ self._content
            self._gram += content_penalty * np.eye(len(self._gram))
            self._moment = weighted.T @ target
            self.map = np.linalg.solve(self._gram, self._moment)

    def features(self) -> np.ndarray:
        """float64 [I, STATISTICS], of everything counted."""
        return np.concatenate(
            [lift_features(self.background, self.scenarios), self.foretold()[:, None]], axis=1
        )

    def foretold(self) -> np.ndarray:
        """The log lift that content foretells, float64 [I]; 0 without content."""
        if self._content is None or self.map is None:
            return np.zeros(len(self.background))
        return self._content @ self.map

    def features_without(self, scenario: int, items: np.ndarray) -> np.ndarray:
        """float64 [len(items), STATISTICS], as if the scenario's pairs had never been.

        Args:
          scenario: Its number.
          items: int [n], sorted rows that include all items of its pairs.
        """
        own = slice(self._own[0][scenario], self._own[0][scenario + 1])
        counts = np.zeros((len(items), 2))
        counts[np.searchsorted(items, self._own[1][own])] = self._own_counts[own]
        rest = np.maximum(self.scenarios[items] - counts, 0.0)
        foretold = np.zeros(len(items))
        if self._content is not None:
            content = self._content[items]
            before_y, before_w = _regression(self.background[items] + self.scenarios[items])
            after_y, after_w = _regression(self.background[items] + rest)
            gram = self._gram - (content * (before_w - after_w)[:, None]).T @ content
            moment = self._moment - content.T @ (before_w * before_y - after_w * after_y)
            foretold = content @ np.linalg.solve(gram, moment)
        features = lift_features(self.background[items], rest)
        return np.concatenate([features, foretold[:, None]], axis=1)


def lift_features(background: np.ndarray, scenarios: np.ndarray) -> np.ndarray:
    """Observed and expected clicks [N, 2] each -> [N, 5]: two lifts, and how much they rest on."""
    lifts = [
        np.log((counts[:, 0] + _PSEUDO_COUNT) / (counts[:, 1] + _PSEUDO_COUNT))
        for counts in (background, scenarios)
    ]
    amounts = [background[:, 0], scenarios[:, 0], scenarios[:, 1]]
    return np.stack([*lifts, *(np.log1p(amount) / 4.0 for amount in amounts)], axis=1)


def _regression(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Target and weight of each item in the regression of the lift on content."""
    target = np.log((counts[:, 0] + 1.0) / (counts[:, 1] + 1.0))
    return target, counts[:, 1] / (counts[:, 1] + 5.0)
