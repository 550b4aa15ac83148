"""Training tasks of the ranking setting: users, what they have taken divided anew at each visit."""

from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.config.ranking import RankingEpisodeConfig
from cmml_tf.datasets.tasks.taken_items import LEAST_TAKEN, TakenItems, size_of
from cmml_tf.types import Episode, Support

TAKEN, KNOWN = 1.0, -1.0
"""Labels of a query as `CatalogueTask` reads them."""


class RankingEpisodeSampler:
    """Tasks with the whole catalogue as their query; those of a step are users of one fold.

    Args:
      taken: The users who are learned from.
      items: I of the catalogue.
      folds: int [T], the fold of each of them.
      config: Sizes.
      seed: With the step number, fixes the tasks.

    Raises:
      ValueError: No user has taken enough items.
    """

    def __init__(
        self,
        taken: TakenItems,
        items: int,
        folds: np.ndarray,
        config: RankingEpisodeConfig,
        seed: int,
    ) -> None:
        self._taken, self._items, self._config, self._seed = taken, items, config, seed
        enough = np.flatnonzero(taken.lengths >= LEAST_TAKEN)
        if not len(enough):
            raise ValueError(
                f"A user who is learned from must have taken {LEAST_TAKEN} items. Received: the "
                f"most that a user has is {int(taken.lengths.max(initial=0))}."
            )
        parts = [enough[folds[enough] == fold] for fold in range(int(folds.max()) + 1)]
        self._parts = [part for part in parts if len(part)]

    def sample(self, step: tf.Tensor) -> Episode:
        """The tasks of a step (int64 scalar): support [B, S], query [B, I]."""
        types = [tf.int32, tf.int32, tf.int32, tf.float32]
        user, item, length, label = tf.numpy_function(self._draw, [step], types)
        B, items = self._config.tasks_per_step, self._items
        user, length = tf.ensure_shape(user, [B]), tf.ensure_shape(length, [B])
        item, label = tf.ensure_shape(item, [B, None]), tf.ensure_shape(label, [B, items])
        users = tf.repeat(user[:, None], tf.shape(item)[1], axis=1)
        support = Support(users, item, tf.ones_like(item, tf.float32), length)
        query_user = tf.repeat(user[:, None], items, axis=1)
        query_item = tf.repeat(tf.range(items)[None], B, axis=0)
        return Episode(support, query_user, query_item, label)

    def _draw(self, step: np.ndarray) -> tuple[Any, ...]:
        """Users int32 [B], support int32 [B, S] and its length [B], query labels [B, I]."""
        config, rng = self._config, np.random.default_rng([self._seed, int(step)])
        users = self._parts[int(step) % len(self._parts)]
        places = rng.choice(
            users, config.tasks_per_step, replace=len(users) < config.tasks_per_step
        )
        label = np.zeros([len(places), self._items], np.float32)
        supports = []
        for task, place in enumerate(places):
            items = rng.permutation(self._taken.of(place))
            size = size_of(rng, len(items), config.empty_supports, config.large_supports)
            label[task, items[size:]], label[task, items[:size]] = TAKEN, KNOWN
            supports.append(items[:size])
        length = np.array([len(support) for support in supports], np.int32)
        padded = np.zeros([len(places), max(1, int(length.max()))], np.int32)
        for task, support in enumerate(supports):
            padded[task, : len(support)] = support
        return self._taken.user[places], padded, length, label
