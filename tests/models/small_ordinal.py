"""Ratings of a few made users, and an ordinal model of them with random trained weights."""

from dataclasses import replace

import numpy as np
import tensorflow as tf

from cmml_tf.config import TrainingConfig
from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.datasets.tasks.users.rating_tasks import RatingData, RatingTasks
from cmml_tf.embeddings.ratings.ordinal_tables import fit_ordinal_tables
from cmml_tf.settings.rating.ordinal_parts import ordinal_model
from cmml_tf.types import Feature, FeatureColumn

USERS, ITEMS, QUERY = 40, 15, 3
CONFIG = RatingModelConfig(
    kind="ordinal",
    factor_sizes=(2,),
    factor_sweeps=4,
    neighbours=5,
    kernel_items=10,
    folds=2,
    combiner_units=(6, 6),
)


def rating_data():
    """Ratings of 1, 2, 3 and 5 that follow one taste and a feature of user and item."""
    rng = np.random.default_rng(0)
    genre = rng.integers(0, 3, ITEMS)
    group = rng.integers(0, 2, USERS)
    taste, loading = rng.normal(size=USERS), rng.normal(size=ITEMS)
    expected = 3 + taste[:, None] * loading + 0.5 * group[:, None] * (genre == 1)
    noisy = expected + rng.normal(0, 0.5, expected.shape)
    rating = np.array([1, 2, 3, 5])[np.digitize(noisy, [1.5, 2.5, 4.0])]
    items = [rng.permutation(ITEMS - 1)[: rng.integers(7, 13)] for _ in range(USERS)]
    starts = np.cumsum([0, *map(len, items)]).astype(np.int64)
    item = np.concatenate(items).astype(np.int32)
    user = np.repeat(np.arange(USERS), np.diff(starts))
    everyone = RatingTasks(
        np.arange(USERS, dtype=np.int32), starts, item, rating[user, item].astype(np.float32)
    )
    asked, learned = np.arange(8), np.arange(8, USERS)
    words = ("x", "y", "z")
    several = FeatureColumn(
        Feature("genre", "multi-hot", words),
        genre.astype(np.int32),
        np.append(np.arange(ITEMS + 1), ITEMS).astype(np.int64),
    )
    year = FeatureColumn(
        Feature("year", "numeric"), np.append(rng.normal(size=ITEMS), 0).astype(np.float32)
    )
    one = FeatureColumn(
        Feature("group", "categorical", ("a", "b")), np.append(group, 2).astype("i")
    )
    return RatingData(
        name="made",
        user_ids=np.arange(100, 100 + USERS),
        item_ids=np.arange(500, 500 + ITEMS),
        user_columns=(one,),
        item_columns=(several, year),
        query=QUERY,
        meta_train=everyone.take(learned),
        validation=everyone.take([]),
        meta_test=everyone.take(asked),
        log=everyone.take(learned),
        counts={},
    )


def ordinal(folds=0, **changes):
    """The data, its tables, and a model of them with a random combiner."""
    data, config = rating_data(), replace(CONFIG, **changes)
    tables = fit_ordinal_tables(data, config, seed=0, folds=folds)
    tf.keras.utils.set_random_seed(0)
    model = ordinal_model(config, data, tables, TrainingConfig())
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add(rng.normal(0, 0.2, variable.shape))
    return data, tables, model
