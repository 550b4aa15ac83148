"""The dot product of the embeddings, alone and with counts of the support set."""

import numpy as np

from cmml_tf.baselines.simple.clicks import Clicks, SimpleSystem
from cmml_tf.baselines.simple.known_log import KnownLog


class Dot(SimpleSystem):
    """<user embedding, item embedding>: what the factors say without any training or support.

    Args:
      log: Holds the embeddings.
    """

    reads_support = False

    def __init__(self, log: KnownLog) -> None:
        super().__init__()
        self._log = log

    def grid(self, clicks: Clicks, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float64 [U, I]."""
        del clicks
        return self._log.users(users) @ self._log.items(items).T


class ItemPopDot(SimpleSystem):
    """<user embedding, item embedding> + weight log(1 + count in the support set).

    Args:
      log: Holds the embeddings.
      weight: What log(1 + count) is worth, as a share of what a known click is.
    """

    def __init__(self, log: KnownLog, weight: float) -> None:
        super().__init__(weight=weight)
        self._dot = Dot(log)
        self._weight = weight * log.click

    def grid(self, clicks: Clicks, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float64 [U, I]."""
        counted = np.log1p(clicks.counts(items))
        return self._dot.grid(clicks, users, items) + self._weight * counted
