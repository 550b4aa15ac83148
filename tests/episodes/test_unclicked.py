"""Sparse scenarios: a click in the support must not speak against an item in training."""

import math

import numpy as np
import tensorflow as tf
from episodes.small_data import random_scenarios, scenario, scenario_data

from cmml_tf.config import EpisodeConfig
from cmml_tf.episodes.matching_sampler import MatchingSampler
from cmml_tf.episodes.unclicked import UnclickedItems, expected_clicks

ITEMS = 400
CONFIG = EpisodeConfig(800, 800, query_positives=64, tasks_per_step=4)


def sparse_data(clicks, scenarios=6):
    """Scenarios of items that all are taken alike, of which those with a click are known."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(scenarios):
        items = np.repeat(np.arange(ITEMS), rng.poisson(clicks, ITEMS))
        users = rng.integers(0, 900, len(items)).tolist()
        pairs = set(zip(users, items.tolist(), strict=True))
        made.append(scenario(f"s{number}", sorted(pairs), {item for _, item in pairs}))
    return scenario_data(made, users=900, items=ITEMS)


def clicks_in_support(data, steps):
    """Mean clicks in the support on items that are asked as positives and as negatives."""
    sampler = MatchingSampler(data, CONFIG, 0, None, query_negatives=1)
    sample = tf.function(
        sampler.sample, input_signature=[tf.TensorSpec([], tf.int64)], autograph=False
    )
    found = np.zeros([2, 0])
    for step in range(steps):
        drawn = tf.nest.map_structure(lambda part: part.numpy(), sample(np.int64(step)))
        for task, length in enumerate(drawn.support.length):
            positive = drawn.support.label[task, :length] > 0.5
            count = np.bincount(drawn.support.item[task, :length][positive], minlength=ITEMS)
            found = np.concatenate([found, count[drawn.query_item[task]].reshape(2, -1)], axis=1)
    return found.mean(axis=1)


def test_where_all_items_are_alike_clicks_tell_nothing_of_what_is_asked():
    for clicks in (0.6, 1.2):
        positive, negative = clicks_in_support(sparse_data(clicks), 40)
        assert abs(positive / negative - 1) < 0.08


def test_expected_clicks_are_those_that_items_with_a_click_were_drawn_with():
    rng = np.random.default_rng(0)
    for clicks in (0.3, 1.0, 2.5):
        counts = rng.poisson(clicks, 200_000)
        assert abs(expected_clicks(counts[counts > 0]) - clicks) < 0.02
    assert expected_clicks(np.ones(5, int)) == 0.0
    assert 0 < expected_clicks(np.array([*[1] * 99_999, 2])) < 1e-4


def test_nothing_is_left_out_of_what_is_not_sparse_or_names_what_nobody_clicked():
    assert expected_clicks(np.full(9, 3)) == math.inf
    assert expected_clicks(np.array([1, 1, 0])) == math.inf
    dense = scenario_data(random_scenarios(4), users=30, items=48)
    clicks = MatchingSampler(dense, CONFIG, 0, None, query_negatives=1).clicks_of_items()
    assert not UnclickedItems(clicks).any


def test_clicks_are_left_out_only_of_items_that_have_none_elsewhere():
    counts = [np.array([1, 2, 1, 1, 1, 1]), np.array([5, 5])]
    unclicked = UnclickedItems(counts)
    position = tf.constant([[0, 1, 2, 3], [0, 1, 0, 1]])
    scenarios, kept = tf.constant([0, 1], tf.int64), np.ones([2, 4], bool)
    kept[0, 3] = False
    gone = np.zeros([2, 4])
    for number in range(400):
        stream = tf.constant([7, number], tf.int64)
        gone += unclicked(scenarios, position, tf.constant(kept), stream).numpy()
    rate = expected_clicks(counts[0])
    expected = math.exp(-rate * 3 / 7)
    assert gone[0, 1] == gone[0, 3] == 0 == gone[1].max()
    np.testing.assert_allclose(gone[0, [0, 2]] / 400, expected, atol=0.08)
