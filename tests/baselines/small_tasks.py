"""Tables and tasks of a few users and items, for models of the scenario setting."""

import numpy as np
import tensorflow as tf
from random_weights import random_weights

from cmml_tf.baselines.build import build_baseline
from cmml_tf.tasks.scenario import HingeTask
from cmml_tf.types import Episode, Support

USERS, ITEMS, DIMENSION = 20, 12, 4
POSITIVES, NEGATIVES, QUERY = 6, 12, 8


def built(config, seed=0):
    """A baseline with random tables, and random values in every weight, biases too."""
    model = build_baseline(config, USERS, ITEMS, DIMENSION, DIMENSION, task=HingeTask())
    rng = np.random.default_rng(seed)
    model.pair_embedding.set_tables(
        rng.normal(size=(USERS, DIMENSION)), rng.normal(size=(ITEMS, DIMENSION))
    )
    return random_weights(model, rng, 0.5)


def tasks(count=3, seed=1, lengths=None):
    """Episodes as the sampler makes them: positives, then two negatives of each one's user."""
    rng = np.random.default_rng(seed)
    users = rng.integers(0, USERS, [count, POSITIVES])
    items = rng.integers(0, ITEMS, [count, POSITIVES])
    negatives = (np.tile(items, 2) + rng.integers(1, ITEMS, [count, NEGATIVES])) % ITEMS
    label = np.tile(np.repeat([1.0, 0.0], [POSITIVES, NEGATIVES]), [count, 1])
    size = POSITIVES + NEGATIVES
    support = Support(
        tf.constant(np.tile(users, 3), tf.int32),
        tf.constant(np.concatenate([items, negatives], axis=1), tf.int32),
        tf.constant(label, tf.float32),
        tf.constant([size] * count if lengths is None else lengths),
    )
    asked = np.tile(rng.integers(0, USERS, [count, QUERY // 2]), 2)
    return Episode(
        support,
        tf.constant(asked, tf.int32),
        tf.constant(rng.integers(0, ITEMS, [count, QUERY]), tf.int32),
        tf.constant(np.tile(np.repeat([1.0, 0.0], QUERY // 2), [count, 1]), tf.float32),
    )


def one_task(episode, row):
    """Task number `row` alone, as a batch of one."""
    return tf.nest.map_structure(lambda tensor: tensor[row : row + 1], episode)


def embedded(model, user, item):
    """float64 [N, d]: the pair embeddings of one task, in NumPy."""
    tables = [table.numpy() for table in model.pair_embedding.weights]
    return np.concatenate([tables[0][user], tables[1][item]], axis=-1).astype(np.float64)
