"""What a user model has to beat: means, without any network. Each is a `Scorer`."""

from typing import NamedTuple

import numpy as np

from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.types import Support, lengths_mask

_SHRINKAGE = 3.0


class ItemMeans(NamedTuple):
    """Means of ratings that are learned from.

    Attributes:
      overall: The global mean.
      item: float64 [I], each item's mean, drawn to the global one by `_SHRINKAGE` ratings.
    """

    overall: float
    item: np.ndarray


def item_means(tasks: RatingTasks, items: int) -> ItemMeans:
    """Of these users' ratings; an item without a rating has the global mean."""
    overall = float(tasks.rating.astype(np.float64).mean())
    count = np.bincount(tasks.item, minlength=items)
    total = np.bincount(tasks.item, tasks.rating - overall, minlength=items)
    return ItemMeans(overall, overall + total / (count + _SHRINKAGE))


class GlobalMean:
    """The same for all.

    Args:
      means: Of the ratings that are learned from.
    """

    reads_support = False

    def __init__(self, means: ItemMeans) -> None:
        self._means = means

    def adapt(self, support: Support) -> np.ndarray:
        """Each user's number, float64 [B]: here the global mean."""
        return np.full(len(support.length), self._means.overall)

    def score(self, adapted: np.ndarray, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """float64 [B, Q]."""
        del user
        return np.repeat(adapted[:, None], item.shape[1], axis=1)


class UserMean(GlobalMean):
    """The mean of the user's support ratings; without any, the global one."""

    reads_support = True

    def adapt(self, support: Support) -> np.ndarray:
        """Each user's mean, float64 [B]."""
        valid = lengths_mask(support.length, support.label.shape[1])
        total = np.where(valid, support.label, 0.0).sum(axis=1, dtype=np.float64)
        count = valid.sum(axis=1)
        return np.where(count > 0, total / np.maximum(count, 1), self._means.overall)


class ItemMeanAndUserBias(GlobalMean):
    """The item's mean plus how far the user's support ratings lie above theirs."""

    reads_support = True

    def adapt(self, support: Support) -> np.ndarray:
        """Each user's bias, float64 [B]."""
        valid = lengths_mask(support.length, support.label.shape[1])
        above = np.where(valid, support.label - self._means.item[support.item], 0.0).sum(axis=1)
        return above / (valid.sum(axis=1) + _SHRINKAGE)

    def score(self, adapted: np.ndarray, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """float64 [B, Q]."""
        del user
        return self._means.item[item] + adapted[:, None]
