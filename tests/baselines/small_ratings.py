"""Features and tasks of a few users and films, for baselines of the user setting."""

import numpy as np
import tensorflow as tf
from random_weights import random_weights

from cmml_tf.baselines.build_rating import build_rating_baseline
from cmml_tf.tasks.rating import RatingTask
from cmml_tf.types import Episode, Feature, FeatureColumn, Support

USERS, ITEMS, S, Q = 5, 12, 7, 4
_RNG = np.random.default_rng(7)


def _categorical(name, size, rows):
    words = tuple(map(str, range(size)))
    values = np.append(_RNG.integers(0, size, rows), size)
    return FeatureColumn(Feature(name, "categorical", words), values.astype(np.int32))


def _several(name, size, rows):
    counts = np.append(_RNG.integers(0, 4, rows), 0)  # some films have none
    starts = np.concatenate([[0], np.cumsum(counts)])
    values = _RNG.integers(0, size, starts[-1]).astype(np.int32)
    words = tuple(map(str, range(size)))
    return FeatureColumn(Feature(name, "multi-hot", words), values, starts)


ITEM_COLUMNS = (
    _categorical("rate", 3, ITEMS),
    _several("actor", 9, ITEMS),
    FeatureColumn(Feature("year", "numeric"), np.append(_RNG.normal(size=ITEMS), 0).astype("f")),
)
USER_COLUMNS = (_categorical("age", 4, USERS),)


def built(config, seed=0):
    """A baseline with random values in every weight."""
    model = build_rating_baseline(
        config, ITEM_COLUMNS, USER_COLUMNS, users=USERS, task=RatingTask()
    )
    rng = np.random.default_rng(seed)
    return random_weights(model, rng, 0.5)


def tasks(count=3, seed=1, lengths=None):
    rng = np.random.default_rng(seed)
    user = rng.permutation(USERS)[:count, None]
    item = np.stack([rng.permutation(ITEMS)[: S + Q] for _ in range(count)])
    rating = rng.integers(1, 6, [count, S + Q]).astype(np.float32)
    support = Support(
        tf.constant(np.repeat(user, S, axis=1), tf.int32),
        tf.constant(item[:, :S], tf.int32),
        tf.constant(rating[:, :S]),
        tf.constant([S] * count if lengths is None else lengths),
    )
    return Episode(
        support,
        tf.constant(np.repeat(user, Q, axis=1), tf.int32),
        tf.constant(item[:, S:], tf.int32),
        tf.constant(rating[:, S:]),
    )
