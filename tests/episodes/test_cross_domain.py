"""The source domain: what users took outside the scenario, and what they did not."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from episodes.small_data import random_scenarios, scenario_data

from cmml_tf.config import EpisodeConfig
from cmml_tf.episodes import EpisodeSampler, sampled_steps
from cmml_tf.episodes.cross_domain import cross_domain_sampler, source_item_of_users

CONFIG = EpisodeConfig(4, 8, 6, tasks_per_step=2)
USERS, ITEMS = 30, 60
UNKNOWN = ITEMS


@pytest.fixture(scope="module")
def data():
    """Five scenarios of twelve items; the meta-training pairs are the history."""
    scenarios = random_scenarios(5, users=USERS)
    pairs = [
        pair for s in scenarios for pair in zip(s.users.tolist(), s.items.tolist(), strict=True)
    ]
    return scenario_data(scenarios, history=pairs, users=USERS, items=ITEMS)


def taken(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def test_the_target_domain_is_that_of_the_training_episodes(data):
    for crossed, plain in zip(
        taken(sampled_steps(cross_domain_sampler(data, CONFIG, 3), 2), 3),
        taken(sampled_steps(EpisodeSampler(data, CONFIG, 3).sample, 2), 3),
        strict=True,
    ):
        tf.nest.map_structure(np.testing.assert_array_equal, crossed[:4], tuple(plain))


def test_source_items_lie_outside_the_scenario_and_are_taken_or_not_as_the_order_says(data):
    history = set(zip(data.history_users.tolist(), data.history_items.tolist(), strict=True))
    orders = []
    for episode in taken(sampled_steps(cross_domain_sampler(data, CONFIG, 0)), 20):
        half = CONFIG.query_positives
        orders.append(episode.source_order)
        for row, k in np.ndindex(episode.source_order.shape):
            user, order = int(episode.query_user[row, k]), episode.source_order[row, k]
            first, second = episode.source_item[row, [k, half + k]].tolist()
            if order == 0:
                assert first == second == UNKNOWN
                continue
            positive, negative = (first, second) if order > 0 else (second, first)
            assert (user, positive) in history
            assert (user, negative) not in history
            own = episode.query_item[row, k] // 12  # scenarios of twelve items of their own
            assert own not in (positive // 12, negative // 12)
    assert {-1.0, 1.0} <= set(np.unique(orders))
    assert abs(np.mean(orders)) < 0.2  # which of the two is the taken one, is a coin's toss


def test_background_pairs_are_the_source_where_there_are_any(data):
    users, items = np.array([[3, 5, 5], [59, 58, 1]], np.int32)
    with_background = replace(data, background_users=users, background_items=items)
    background = {(3, 59), (5, 58), (5, 1)}
    seen = set()
    for episode in taken(sampled_steps(cross_domain_sampler(with_background, CONFIG, 0)), 40):
        for row, k in np.argwhere(episode.source_order != 0):
            place = k if episode.source_order[row, k] > 0 else CONFIG.query_positives + k
            pair = int(episode.query_user[row, k]), int(episode.source_item[row, place])
            seen.add(pair)
    assert seen == background
    chosen = source_item_of_users(with_background, 0)
    assert chosen[3] == 59
    assert chosen[5] in (58, 1)
    assert chosen[4] == UNKNOWN


def test_each_user_has_one_source_item_of_his_own(data):
    chosen = source_item_of_users(data, 1)
    history = set(zip(data.history_users.tolist(), data.history_items.tolist(), strict=True))
    assert chosen.shape == (USERS + 1,)
    assert chosen[-1] == UNKNOWN
    for user, item in enumerate(chosen[:-1].tolist()):
        assert (user, item) in history or user not in data.history_users
    np.testing.assert_array_equal(chosen, source_item_of_users(data, 1))
    assert not np.array_equal(chosen, source_item_of_users(data, 2))


def test_a_later_step_needs_none_of_those_before(data):
    whole = taken(sampled_steps(cross_domain_sampler(data, CONFIG, 1)), 5)
    rest = taken(sampled_steps(cross_domain_sampler(data, CONFIG, 1), 3), 2)
    tf.nest.map_structure(np.testing.assert_array_equal, whole[3:], rest)
    other = taken(sampled_steps(cross_domain_sampler(data, CONFIG, 2)), 1)[0]
    assert not np.array_equal(whole[0].source_item, other.source_item)
