"""Training tasks of the ranking setting: users, what they have taken divided anew at each visit.

The query is the whole catalogue. Of a large one it is what the user takes and a sample of n items,
drawn with replacement by their rank: item k of I, the most taken first, with the probability

  P_k = log((k + 2) / (k + 1)) / log(I + 1),

so that it is expected n P_k times. This is TensorFlow's log-uniform candidate sampling.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.config.ranking import RankingEpisodeConfig
from cmml_tf.datasets.tasks.users.taken_items import LEAST_TAKEN, RankingData, size_of
from cmml_tf.episodes.hiding import Hiding
from cmml_tf.types import Episode, SampledEpisode, Support

TAKEN, KNOWN = 1.0, -1.0
"""Labels of a query as `CatalogueTask` reads them."""


class RankingEpisodeSampler:
    """Tasks that ask for the whole catalogue; those of a step are users of one fold.

    Args:
      data: Whose users are learned from, and its catalogue.
      folds: int [T], the fold of each of them.
      config: Sizes.
      seed: With the step number, fixes the tasks.
      hides: Some items of the queries are met as if nobody had taken them; see `RankingCMML`.

    Raises:
      ValueError: No user has taken enough items.
    """

    def __init__(
        self,
        data: RankingData,
        folds: np.ndarray,
        config: RankingEpisodeConfig,
        seed: int,
        hides: bool = False,
    ) -> None:
        taken, items = data.learned, len(data.item_ids)
        self._taken, self._items, self._config, self._seed = taken, items, config, seed
        self._in_order = data.in_order
        # Nothing is learned from them: whether they are new or nobody wants them is not known.
        self._never = data.taken == 0
        # Row I stands for unknown items and is no item to hide.
        self._hiding = Hiding(1, items + 1, seed) if hides else None
        enough = np.flatnonzero(taken.lengths >= LEAST_TAKEN)
        if not len(enough):
            raise ValueError(
                f"A user who is learned from must have taken {LEAST_TAKEN} items. Received: the "
                f"most that a user has is {int(taken.lengths.max(initial=0))}."
            )
        self._samples = config.sampled_items if items > config.whole_catalogue else 0
        parts = [enough[folds[enough] == fold] for fold in range(int(folds.max()) + 1)]
        self._parts = [part for part in parts if len(part)]

    def sample(self, step: tf.Tensor) -> Episode | SampledEpisode:
        """The tasks of a step (int64 scalar): support [B, S], query [B, I] or a sample [B, Q]."""
        types = [tf.int32, tf.int32, tf.int32, tf.int32, tf.float32]
        user, item, length, query, label = tf.numpy_function(self._draw, [step], types)
        B = self._config.tasks_per_step
        user, length = tf.ensure_shape(user, [B]), tf.ensure_shape(length, [B])
        item = tf.ensure_shape(item, [B, None])
        queries = [B, None if self._samples else self._items]
        query, label = tf.ensure_shape(query, queries), tf.ensure_shape(label, queries)
        users = tf.repeat(user[:, None], tf.shape(item)[1], axis=1)
        support = Support(users, item, tf.ones_like(item, tf.float32), length)
        query_user = tf.repeat(user[:, None], tf.shape(query)[1], axis=1)
        key = query
        if self._hiding is not None:
            drawn = self._hiding(Episode(support, query_user, query, label), step)
            key = tf.cast(drawn.query_item, tf.int32)
        if not self._samples:
            return Episode(support, query_user, key, label)
        log_expected = log_expected_samples(query, self._items, self._samples)
        return SampledEpisode(support, query_user, key, label, log_expected)

    def _draw(self, step: np.ndarray) -> tuple[Any, ...]:
        """Users int32 [B], support int32 [B, S] and its length [B], query and its labels [B, Q]."""
        config, rng = self._config, np.random.default_rng([self._seed, int(step)])
        users = self._parts[int(step) % len(self._parts)]
        places = rng.choice(
            users, config.tasks_per_step, replace=len(users) < config.tasks_per_step
        )
        supports, taken = [], []
        for place in places:
            items = self._taken.of(place)
            items = items if self._in_order else rng.permutation(items)
            size = size_of(rng, len(items), config.empty_supports, config.large_supports)
            supports.append(items[:size])
            taken.append(items[size:])
        length = np.array([len(support) for support in supports], np.int32)
        query, label = (
            self._sampled(supports, taken, rng) if self._samples else self._whole(supports, taken)
        )
        return self._taken.user[places], _padded(supports), length, query, label

    def _whole(self, supports: list[np.ndarray], taken: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The catalogue and its labels, int32 and float32 [B, I]."""
        label = np.repeat(np.where(self._never, KNOWN, 0)[None], len(taken), axis=0)
        label = label.astype(np.float32)
        for row, known, items in zip(label, supports, taken, strict=True):
            row[items], row[known] = TAKEN, KNOWN
        query = np.arange(self._items, dtype=np.int32)
        return np.repeat(query[None], len(taken), axis=0), label

    def _sampled(
        self, supports: list[np.ndarray], taken: list[np.ndarray], rng: np.random.Generator
    ) -> tuple[np.ndarray, ...]:
        """What is taken, padded, then the samples, int32 and float32 [B, Q].

        What pads, and a sample that the user has taken or knows, is left out as what is known is.
        """
        first = _padded(taken)
        label = np.full(first.shape, KNOWN, np.float32)
        drawn = self._items + 1.0
        drawn = np.floor(drawn ** rng.random([len(taken), self._samples])).astype(np.int32) - 1
        drawn = np.minimum(drawn, self._items - 1)
        of_drawn = np.where(self._never[drawn], KNOWN, 0).astype(np.float32)
        for task, items in enumerate(taken):
            label[task, : len(items)] = TAKEN
            own = np.concatenate([items, supports[task]])
            of_drawn[task, np.isin(drawn[task], own)] = KNOWN
        return np.concatenate([first, drawn], axis=1), np.concatenate([label, of_drawn], axis=1)


def log_expected_samples(item: tf.Tensor, items: int, samples: int) -> tf.Tensor:
    """log n P_k, float32, of items k (int32) of I; see above."""
    rank = tf.cast(item, tf.float32)
    chance = tf.math.log1p(1.0 / (rank + 1.0)) / math.log(items + 1.0)
    return tf.math.log(samples * chance)


def _padded(parts: list[np.ndarray]) -> np.ndarray:
    """int32 [B, n], n at least 1; 0 behind each part."""
    padded = np.zeros([len(parts), max(1, *map(len, parts))], np.int32)
    for row, part in zip(padded, parts, strict=True):
        row[: len(part)] = part
    return padded
