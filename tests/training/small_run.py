"""A planted data set and a pooling model that train in seconds."""

import tensorflow as tf

from cmml_tf.config import EpisodeConfig, ModelConfig
from cmml_tf.datasets.synthetic.planted_scenarios import planted_scenarios
from cmml_tf.episodes import EpisodeSampler, EvaluationEpisodes
from cmml_tf.episodes.sampled_steps import sampled_steps
from cmml_tf.evaluation.ranking import candidate_scores, evaluate_ranking
from cmml_tf.evaluation.scorer import ModelScorer
from cmml_tf.models.build import build_model
from cmml_tf.tasks.scenario import HingeTask
from cmml_tf.training.fit import fit_model
from cmml_tf.types import empty_support

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


def fit(
    model,
    data,
    validate,
    training,
    folder,
    max_minutes=None,
    episode=EPISODE,
    seed=0,
    with_support=True,
):
    """Trains on the data's meta-training scenarios, watching validation Recall@20."""
    sampler = EpisodeSampler(data, episode, seed)

    def sample(step):
        drawn = sampler.sample(step)
        return drawn if with_support else drawn._replace(support=empty_support(drawn.support))

    return fit_model(
        model,
        lambda step: sampled_steps(sample, step),
        validate,
        "val_recall@20",
        training,
        folder,
        max_minutes,
        verbose=0,
    )


def validator(model, data):
    """What a training asks after each epoch."""
    episodes = EvaluationEpisodes.draw(data.validation, EPISODE, seed=1)
    scorer = candidate_scores(ModelScorer(model, tasks=1))
    return lambda: evaluate_ranking(scorer, episodes).means()
