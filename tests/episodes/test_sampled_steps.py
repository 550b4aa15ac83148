"""The training pipeline: what comes from where, and nothing that evaluation will ask for."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from episodes.small_data import random_scenarios, scenario_data

from cmml_tf.config import EpisodeConfig, ScenarioConfig, SplitConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.episodes import EpisodeSampler, sampled_steps

CONFIG = EpisodeConfig(4, 8, 6, tasks_per_step=2)


def _take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def test_first_step_goes_on_as_if_the_steps_before_had_been_taken():
    data = scenario_data(random_scenarios(5), users=30)
    whole = _take(sampled_steps(EpisodeSampler(data, CONFIG, seed=1).sample), 9)
    rest = _take(sampled_steps(EpisodeSampler(data, CONFIG, seed=1).sample, first_step=4), 5)
    tf.nest.map_structure(np.testing.assert_array_equal, whole[4:], rest)
    sampled = EpisodeSampler(data, CONFIG, seed=1).sample(tf.constant(4, tf.int64))
    tf.nest.map_structure(np.testing.assert_array_equal, rest[0], sampled)


def test_negative_first_step_is_refused():
    data = scenario_data(random_scenarios(5), users=30)
    with pytest.raises(ValueError, match=r"`first_step` must be zero or more.*first_step=-1"):
        sampled_steps(EpisodeSampler(data, CONFIG, seed=1).sample, first_step=-1)


@pytest.fixture(scope="module")
def movielens():
    return open_scenario_data("movielens-small", ScenarioConfig(), SplitConfig(), seed=0)


def _codes(data, users, items):
    return np.asarray(users).astype(np.int64).ravel() * len(data.item_ids) + np.ravel(items)


def test_nothing_that_evaluation_asks_for_reaches_training(movielens):
    data = movielens
    held_out = (*data.validation, *data.meta_test)
    asked = np.concatenate(
        [_codes(data, one.evaluation_users, one.evaluation_items) for one in held_out]
    )
    support = np.concatenate(
        [_codes(data, one.support_users, one.support_items) for one in held_out]
    )
    assert len(asked) > 5000

    for one in data.meta_train:
        trained = _codes(data, one.users, one.items)
        assert not np.isin(trained, asked).any()
        assert not np.isin(trained, support).any()
    background = _codes(data, data.background_users, data.background_items)
    assert not np.isin(background, asked).any()
    assert not np.isin(background, support).any()
    history = _codes(data, data.history_users, data.history_items)
    assert not np.isin(history, asked).any()

    steps = 300
    seen = []
    for episode in _take(
        sampled_steps(EpisodeSampler(data, EpisodeConfig(), seed=0).sample), steps
    ):
        for users, items in (
            (episode.support.user, episode.support.item),
            (episode.query_user, episode.query_item),
        ):
            seen.append(_codes(data, users, items))
    seen = np.concatenate(seen)
    assert len(seen) == steps * 4 * (192 + 256)
    assert not np.isin(seen, asked).any()
    # Not even what a held-out scenario adapts to is shown, as positive or negative.
    assert not np.isin(seen, support).any()
    # The check sees something: most training pairs come up.
    trained = np.concatenate([_codes(data, one.users, one.items) for one in data.meta_train])
    assert np.isin(trained, seen).mean() > 0.9
