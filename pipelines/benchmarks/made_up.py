"""What benchmarks measure with: models with random tables, random tasks and requests."""

import numpy as np
import tensorflow as tf

from cmml_tf.config import ModelConfig
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.models.build import build_model
from cmml_tf.models.cmml import CMML
from cmml_tf.tasks.scenario import HingeTask
from cmml_tf.types import Episode, Support

SUPPORT = 192
"""S of a task, of which a third is positive."""


def with_random_tables(model: AdaptingModel, rows: tuple[int, int], dimension: int) -> None:
    """Fills the embeddings of users and items, so many rows of each."""
    rng = np.random.default_rng(0)
    users, items = (rng.normal(0, 0.25, (number, dimension)) for number in rows)
    fill_tables(model, users, items)


def fill_tables(model: AdaptingModel, users: np.ndarray, items: np.ndarray) -> None:
    """Gives a model of the scenario setting its embeddings, float32 [rows, d] each."""
    model.pair_embedding.set_tables(users, items)


def made_up_model(config: ModelConfig, rows: tuple[int, int], dimension: int) -> CMML:
    """A model of the scenario setting with first weights and random tables."""
    tf.keras.utils.set_random_seed(0)
    model = build_model(config, *rows, dimension, dimension, task=HingeTask())
    with_random_tables(model, rows, dimension)
    return model


def random_episode(tasks: int, query: int, rows: tuple[int, int], seed: int = 0) -> Episode:
    """B tasks with `query` pairs each, the first half of them positive."""

    def ids(width: int, of: int) -> tf.Tensor:
        number = [seed, width + of]
        return tf.random.stateless_uniform([tasks, width], number, 0, rows[of], tf.int32)

    def labels(positives: int, width: int) -> tf.Tensor:
        return tf.repeat([[1.0] * positives + [0.0] * (width - positives)], tasks, axis=0)

    pairs = ids(SUPPORT, 0), ids(SUPPORT, 1)
    support = Support(*pairs, labels(SUPPORT // 3, SUPPORT), tf.fill([tasks], SUPPORT))
    return Episode(support, ids(query, 0), ids(query, 1), labels(query // 2, query))


def support_by_id(tasks: int, rows: tuple[int, int], seed: int = 1) -> dict[str, np.ndarray]:
    """The support part of a request, its ids the rows."""
    rng = np.random.default_rng(seed)
    return {
        "support_user_id": rng.integers(0, rows[0], (tasks, SUPPORT)),
        "support_item_id": rng.integers(0, rows[1], (tasks, SUPPORT)),
        "support_label": np.resize(np.array([1, 0, 0], np.float32), (tasks, SUPPORT)),
        "support_length": np.full([tasks], SUPPORT, np.int32),
    }
