"""A planted data set and a pooling model that train in seconds."""

import tensorflow as tf

from cmml_tf.config import EpisodeConfig, ModelConfig
from cmml_tf.datasets.synthetic import planted_scenarios
from cmml_tf.episodes import EvaluationEpisodes
from cmml_tf.evaluation.ranking_protocol import ContextScorer, evaluate_ranking
from cmml_tf.models.build import build_model
from cmml_tf.tasks.scenario import HingeTask

POOLING = ModelConfig(encoder="mean", encoder_units=64, hybrid="dot", modulation="linear")
NO_CONTEXT = ModelConfig(encoder="none", hybrid="none", modulation="none")
EPISODE = EpisodeConfig(32, 32, 32, tasks_per_step=8)


def planted(**changes):
    """Scenarios with a hidden sign; 16 dimensions a user and an item."""
    sizes = {"meta_train": 32, "validation": 4, "meta_test": 8, "users_per_scenario": 100}
    return planted_scenarios(**{**sizes, "users": 600, "dimension": 16, **changes})


def build(config, data, seed=0, gradient_clip=None):
    """A model with its task and the data's embeddings."""
    tf.keras.utils.set_random_seed(seed)
    size = data.user_embeddings.shape[1]
    model = build_model(
        config,
        len(data.user_ids),
        len(data.item_ids),
        size,
        size,
        task=HingeTask(),
        gradient_clip=gradient_clip,
    )
    model.pair_embedding.set_tables(data.user_embeddings, data.item_embeddings)
    return model


def validator(model, data):
    """What `fit_scenario_model` asks after each epoch."""
    episodes = EvaluationEpisodes.draw(data.validation, EPISODE, seed=1)
    scorer = ContextScorer(model)
    return lambda: evaluate_ranking(scorer, episodes).means()
