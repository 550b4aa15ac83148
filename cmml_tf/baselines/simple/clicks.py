"""What a simple system reads of a support set, and how it is asked."""

from typing import NamedTuple

import numpy as np

from cmml_tf.types import Support, lengths_mask


class Clicks(NamedTuple):
    """The positives of the support set of one task.

    Attributes:
      users, items: int32 [n], rows.
    """

    users: np.ndarray
    items: np.ndarray

    def counts(self, items: np.ndarray) -> np.ndarray:
        """float64 [I]: how often each item was taken."""
        found, count = np.unique(self.items, return_counts=True)
        if not len(found):
            return np.zeros(len(items))
        place = np.minimum(np.searchsorted(found, items), len(found) - 1)
        return np.where(found[place] == items, count[place], 0).astype(np.float64)


class SimpleSystem:
    """A `Scorer` that reads the positives of a support set; a subclass gives `grid`.

    Attributes:
      settings: The numbers that it was given, by name.
    """

    reads_support = True

    def __init__(self, **settings: float) -> None:
        self.settings = settings

    def adapt(self, support: Support) -> list[Clicks]:
        """The positives of each task."""
        read = lengths_mask(support.length, support.label.shape[1]) & (support.label > 0.5)
        tasks = zip(np.asarray(support.user), np.asarray(support.item), read, strict=True)
        return [Clicks(user[own], item[own]) for user, item, own in tasks]

    def score(self, adapted: list[Clicks], user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """float32 [B, Q]."""
        scores = np.zeros(item.shape, np.float32)
        for row, clicks in enumerate(adapted):
            users, user_place = np.unique(user[row], return_inverse=True)
            items, item_place = np.unique(item[row], return_inverse=True)
            scores[row] = self.grid(clicks, users, items)[user_place, item_place]
        return scores

    def score_grid(self, adapted: list[Clicks], users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float [U, I], of a single adapted task."""
        (clicks,) = adapted
        return self.grid(clicks, users, items)

    def grid(self, clicks: Clicks, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float [U, I]: each item for each user of one task, rows int32 [U] and [I]."""
        raise NotImplementedError
