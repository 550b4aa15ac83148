"""Tasks with a second domain: for each query pair, an item that its user met elsewhere (CoNet).

The source domain is what the data set knows of its users outside the scenario: the background
pairs, which no scenario holds, where the data has any (GroupLens layouts and tables); otherwise
the users' pairs in other meta-training scenarios (the ScenarioMeta layout, planted scenarios).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from cmml_tf.config import EpisodeConfig
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.episodes.sampler import EpisodeSampler
from cmml_tf.episodes.sub_scenarios import with_sub_scenarios
from cmml_tf.types import Array, Support, starts_of

_TRIES = 8
# Apart from the streams of the episodes, which are counted from 0 with the seed times 4.
_STREAM = 1 << 40


class CrossDomainEpisode(NamedTuple):
    """An `Episode` (the target domain) and as many pairs of the source domain, of the same users.

    Of query pair k and its negative Q/2 + k, one goes with a source item that the user took and
    the other with one that the user did not; which, is drawn, so that it tells nothing.

    Attributes:
      support, query_user, query_item, query_label: As of `Episode`.
      source_item: int32 [B, Q], item rows; the row of unknown items where there is none.
      source_order: float32 [B, Q/2], 1 where source item k is the taken one, -1 where Q/2 + k is,
        0 where nothing is known of the user.
    """

    support: Support
    query_user: Array
    query_item: Array
    query_label: Array
    source_item: Array
    source_order: Array


def cross_domain_sampler(
    data: ScenarioData, config: EpisodeConfig, seed: int
) -> Callable[[tf.Tensor], CrossDomainEpisode]:
    """A function that gives the `CrossDomainEpisode` of a step, an int64 scalar."""
    sampler = EpisodeSampler(data, config, seed)
    source = _Source(data, config, seed)

    def sample(step: tf.Tensor) -> CrossDomainEpisode:
        episode = sampler.sample(step)
        users = tf.split(episode.query_user, 2, axis=1)[0]
        return CrossDomainEpisode(*episode, *source.draw(sampler.scenarios(step), users, step))

    return sample


def source_pairs(data: ScenarioData) -> tuple[np.ndarray, np.ndarray]:
    """Users and items, int32 [K], of the source domain's pairs."""
    if len(data.background_users):
        return data.background_users, data.background_items
    return data.history_users, data.history_items


def source_item_of_users(data: ScenarioData, seed: int) -> np.ndarray:
    """One source item of each user, drawn; the row of unknown items for a user without any.

    Returns:
      int32 [U + 1], by user row; the last stands for unknown users.
    """
    users, items = source_pairs(data)
    order = np.random.default_rng(seed).permutation(len(users))
    chosen = np.full(len(data.user_ids) + 1, len(data.item_ids), np.int32)
    chosen[users[order]] = items[order]
    return chosen


class _Source:
    """The source domain as flat arrays, and draws from it."""

    def __init__(self, data: ScenarioData, config: EpisodeConfig, seed: int) -> None:
        users, items = source_pairs(data)
        order = np.lexsort((items, users))
        users, items = users[order], items[order]
        counts = np.bincount(users, minlength=len(data.user_ids))
        self._seed = seed
        self._unknown = len(data.item_ids)
        self._stride = len(data.item_ids) + 1
        self._start = tf.constant(starts_of(counts), tf.int64)
        self._item = tf.constant(items, tf.int32)
        self._taken = tf.constant(users.astype(np.int64) * self._stride + items)
        self._items = tf.constant(np.unique(items), tf.int32)
        scenarios = with_sub_scenarios(data.meta_train, config.sub_scenarios, seed)
        self._own = tf.constant(
            np.concatenate(
                [place * self._stride + s.candidates for place, s in enumerate(scenarios)]
            ).astype(np.int64)
        )

    def draw(
        self, scenario: tf.Tensor, user: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Scenarios int64 [B] and users int32 [B, P] -> `source_item` and `source_order`."""
        shape = tf.concat([[3], tf.shape(user), [_TRIES]], axis=0)
        drawn = tf.random.stateless_uniform(
            shape, tf.stack([tf.constant(_STREAM + self._seed, tf.int64), step]), dtype=tf.float64
        )
        start = tf.gather(self._start, user)[..., None]
        count = tf.gather(self._start, user + 1)[..., None] - start
        place = start + tf.cast(drawn[0] * tf.cast(count, tf.float64), tf.int64)
        taken = tf.gather(self._item, tf.minimum(place, tf.size(self._item, tf.int64) - 1))
        other = tf.gather(
            self._items, tf.cast(drawn[1] * tf.cast(tf.size(self._items), tf.float64), tf.int32)
        )
        owner = scenario[:, None, None] * self._stride
        user_key = tf.cast(user, tf.int64)[..., None] * self._stride
        fits = (count > 0) & ~self._among(self._own, owner, taken)
        other_fits = ~self._among(self._own, owner, other)
        other_fits &= ~self._among(self._taken, user_key, other)
        known = tf.reduce_any(fits, axis=-1) & tf.reduce_any(other_fits, axis=-1)
        taken = tf.where(known, _first(taken, fits), self._unknown)
        other = tf.where(known, _first(other, other_fits), self._unknown)
        ahead = drawn[2, ..., 0] < 0.5
        item = tf.concat([tf.where(ahead, taken, other), tf.where(ahead, other, taken)], axis=1)
        return item, tf.where(known, tf.where(ahead, 1.0, -1.0), 0.0)

    def _among(self, keys: tf.Tensor, key: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """Whether `key` + `item` [B, P, tries] is one of the sorted keys."""
        wanted = tf.reshape(key + tf.cast(item, tf.int64), [-1])
        place = tf.minimum(tf.searchsorted(keys, wanted), tf.size(keys) - 1)
        return tf.reshape(tf.gather(keys, place) == wanted, tf.shape(item))


def _first(values: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """The first chosen value of the last axis."""
    place = tf.argmax(tf.cast(chosen, tf.int32), axis=-1)
    return tf.gather(values, place, batch_dims=2)
