"""The softmax over a sample of a large catalogue: its formula in NumPy, and what it estimates."""

import numpy as np
import pytest
import tensorflow as tf
from random_weights import random_weights
from ranking.small_clicks import clicks, opened

from cmml_tf.config.ranking import RankingEpisodeConfig, RankingModelConfig, RankingRunConfig
from cmml_tf.episodes.ranking_episodes import RankingEpisodeSampler
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.systems import Recipe
from cmml_tf.tasks.catalogue import CatalogueTask
from cmml_tf.types import SampledEpisode

SAMPLES = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return opened(tmp_path_factory.mktemp("sampled"), clicks())


def sampler(data, samples=SAMPLES, whole=10, tasks=4):
    config = RankingEpisodeConfig(
        tasks_per_step=tasks, whole_catalogue=whole, sampled_items=samples
    )
    folds = np.zeros(len(data.learned), np.int64)
    return RankingEpisodeSampler(data, folds, config, 0)


def drawn(data, step=0, **options):
    return sampler(data, **options).sample(tf.constant(step, tf.int64))


def test_a_catalogue_is_sampled_where_it_is_larger_than_is_said(data):
    items = len(data.item_ids)
    assert not isinstance(drawn(data, whole=items), SampledEpisode)
    episode = drawn(data, whole=items - 1)
    assert isinstance(episode, SampledEpisode)
    for task in range(4):
        support = episode.support.item[task, : episode.support.length[task]].numpy()
        query, label = episode.query_item[task].numpy(), episode.query_label[task].numpy()
        sample, of_sample = query[-SAMPLES:], label[-SAMPLES:]
        taken = set(query[label == 1])
        place = data.learned.user.tolist().index(episode.support.user[task, 0])
        assert taken | set(support) == set(data.learned.of(place))
        assert (label == 1).sum() == len(taken)  # each once
        assert (of_sample < 1).all()
        np.testing.assert_array_equal(of_sample == 0, ~np.isin(sample, [*taken, *support]))


def test_the_loss_is_the_formula_in_numpy(data):
    episode = drawn(data, step=3)
    item, label = episode.query_item.numpy(), episode.query_label.numpy()
    scores = np.random.default_rng(0).normal(size=item.shape).astype(np.float32)
    loss = CatalogueTask()(scores, episode.query_label, episode.log_expected).numpy()
    chance = np.log((item + 2) / (item + 1)) / np.log(len(data.item_ids) + 1)
    for task in range(len(item)):
        taken, others = label[task] == 1, label[task] == 0
        corrected = scores[task] - np.log(SAMPLES * chance[task])
        total = np.exp(scores[task][taken]).sum() + np.exp(corrected[others]).sum()
        np.testing.assert_allclose(loss[task], np.log(total) - scores[task][taken].mean(), 1e-5)


def test_in_the_mean_the_sample_stands_for_the_catalogue(data):
    items = len(data.item_ids)
    scores = np.random.default_rng(1).normal(size=items)
    found, wanted = [], []
    for step in range(40):
        episode = drawn(data, step, tasks=16)
        item, label = episode.query_item.numpy(), episode.query_label.numpy()
        worth = np.exp(scores[item] - episode.log_expected.numpy())
        found.append(np.where(label == 0, worth, 0).sum(axis=1))
        for user in episode.support.user[:, 0].numpy():
            own = data.learned.of(data.learned.user.tolist().index(user))
            wanted.append(np.exp(np.delete(scores, own)).sum())
    np.testing.assert_allclose(np.mean(found), np.mean(wanted), rtol=0.04)


def test_with_every_item_once_it_is_the_whole_softmax():
    label = tf.constant([[1.0, 0.0, -1.0, 0.0]])
    scores = tf.constant([[0.3, -1.0, 2.0, 0.7]])
    task = CatalogueTask()
    np.testing.assert_allclose(task(scores, label, tf.zeros([1, 4])), task(scores, label))


@pytest.mark.parametrize("whole", [10, 40], ids=["sampled", "whole"])
def test_a_training_step_scores_what_it_asks_as_the_model_is_asked(data, tmp_path, whole):
    model = RankingModelConfig((0.5,), (0.0,), table_items=25, folds=2)  # 15 items in no table
    config = RankingRunConfig(model=model, episode=RankingEpisodeConfig(whole_catalogue=whole))
    setting = SETTINGS["ranking"]
    parts = setting.prepare(data, tmp_path, config, 0)
    recipe = Recipe(model, config.episode, config.training, 0)
    built, served = setting.build_for_training(recipe, parts), setting.build(recipe, parts)
    random_weights(built, np.random.default_rng(2))
    for weight, own in zip(served.trainable_variables, built.trainable_variables, strict=True):
        weight.assign(own)
    sample = setting.sampler(built, parts, config.episode, 0)
    for episode in (sample(tf.constant(step, tf.int64)) for step in range(2)):
        # An unknown user reads the tables of all, in training as when served.
        unknown = tf.fill(tf.shape(episode.support.user), len(data.user_ids))
        episode = episode._replace(support=episode.support._replace(user=unknown))
        trained, asked = built(episode, training=True), served(episode)
        np.testing.assert_allclose(trained, asked, rtol=1e-5, atol=1e-6)
        expected = [episode.log_expected] if isinstance(episode, SampledEpisode) else []
        wanted = built.task(asked, episode.query_label, *expected)
        loss = built.compute_loss(episode, training=True)
        np.testing.assert_allclose(loss, np.mean(wanted), rtol=1e-5)


@pytest.mark.parametrize("name", ["whole_catalogue", "sampled_items"])
def test_sizes_are_positive_integers(name):
    with pytest.raises(
        ValueError, match=f"`{name}` must be a positive integer. Received: {name}=0"
    ):
        RankingEpisodeConfig(**{name: 0})
