"""ItemPop: rank by the item's count in the support set (the paper's table 2)."""

import numpy as np

from cmml_tf.baselines.simple.clicks import Clicks, SimpleSystem


class ItemPop(SimpleSystem):
    """How often an item is a positive of the support set, the same for every user.

    Equal counts are ties, which the metrics break at random.
    """

    def grid(self, clicks: Clicks, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float [U, I]."""
        return np.broadcast_to(clicks.counts(items), (len(users), len(items)))


class Chance(SimpleSystem):
    """The same score for all: what a random order is worth, exactly."""

    reads_support = False

    def grid(self, clicks: Clicks, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float [U, I], zeros."""
        del clicks
        return np.zeros((len(users), len(items)))
