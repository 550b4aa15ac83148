"""What a user model has to beat: means, without any network."""

from typing import NamedTuple

import numpy as np

from cmml_tf.datasets.rating_tasks import RatingTasks
from cmml_tf.types import Episode, lengths_mask

_SHRINKAGE = 3.0


class ItemMeans(NamedTuple):
    """Means of the meta-training ratings.

    Attributes:
      overall: The global mean.
      item: float64 [I], each item's mean, drawn to the global one by `_SHRINKAGE` ratings.
    """

    overall: float
    item: np.ndarray


def item_means(tasks: RatingTasks, items: int) -> ItemMeans:
    """Of the meta-training users' ratings; an item without a rating has the global mean."""
    overall = float(tasks.rating.astype(np.float64).mean())
    count = np.bincount(tasks.item, minlength=items)
    total = np.bincount(tasks.item, tasks.rating - overall, minlength=items)
    return ItemMeans(overall, overall + total / (count + _SHRINKAGE))


def global_mean(means: ItemMeans, episode: Episode) -> np.ndarray:
    """The same for all: float64 [B, Q]."""
    return np.full(episode.query_item.shape, means.overall)


def user_mean(means: ItemMeans, episode: Episode) -> np.ndarray:
    """The mean of the user's support ratings; without any, the global one. float64 [B, Q]."""
    valid = lengths_mask(episode.support.length, episode.support.label.shape[1])
    total = np.where(valid, episode.support.label, 0.0).sum(axis=1, dtype=np.float64)
    count = valid.sum(axis=1)
    mean = np.where(count > 0, total / np.maximum(count, 1), means.overall)
    return np.repeat(mean[:, None], episode.query_item.shape[1], axis=1)


def item_mean_and_user_bias(means: ItemMeans, episode: Episode) -> np.ndarray:
    """The item's mean plus how far the user's support ratings lie above theirs: [B, Q]."""
    support = episode.support
    valid = lengths_mask(support.length, support.label.shape[1])
    above = np.where(valid, support.label - means.item[support.item], 0.0).sum(axis=1)
    bias = above / (valid.sum(axis=1) + _SHRINKAGE)
    return means.item[episode.query_item] + bias[:, None]
