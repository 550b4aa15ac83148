"""Tasks that matching is trained with: supports of any size, hardly larger than the step needs."""

import numpy as np
import pytest
import tensorflow as tf
from episodes.small_data import random_scenarios, scenario, scenario_data

from cmml_tf.config import EpisodeConfig
from cmml_tf.episodes.hiding import Hiding
from cmml_tf.episodes.matching_sampler import MatchingSampler

CONFIG = EpisodeConfig(16, 32, query_positives=8, tasks_per_step=3)


@pytest.fixture(scope="module")
def supports():
    data = scenario_data(random_scenarios(8), users=30, items=96)
    sampler = MatchingSampler(data, CONFIG, 0, None, query_negatives=2)
    draw = tf.function(
        sampler.sample, input_signature=[tf.TensorSpec([], tf.int64)], autograph=False
    )
    drawn = (draw(np.int64(step)).support for step in range(60))
    return [tf.nest.map_structure(lambda part: part.numpy(), one) for one in drawn]


def test_a_step_has_room_for_its_longest_support_and_up_to_a_multiple_of_64():
    taken = [(user, item) for user in range(50) for item in range(6)]
    data = scenario_data([scenario("one", taken, range(9))])
    config = EpisodeConfig(100, 200, query_positives=8, tasks_per_step=1)
    sampler = MatchingSampler(data, config, 0, None, query_negatives=2)
    draw = tf.function(
        sampler.sample, input_signature=[tf.TensorSpec([], tf.int64)], autograph=False
    )
    sizes = set()
    for step in range(60):
        one = draw(np.int64(step)).support
        assert one.user.shape == one.item.shape == one.label.shape
        longest = max(1, int(one.length[0]))
        assert one.user.shape[1] == min(-(-longest // 64) * 64, 300)
        sizes.add(one.user.shape[1])
    assert {64, 128, 192, 256, 300} >= sizes > {64, 300}


def test_supports_are_of_all_sizes_with_and_without_negatives(supports):
    positives = [
        (int(label[:length].sum()), int(length))
        for one in supports
        for label, length in zip(one.label, one.length, strict=True)
    ]
    counts = {count for count, _ in positives}
    assert {0, 1, 16} <= counts
    assert len(counts) > 8
    assert {length / count for count, length in positives if count} >= {1.0, 2.0, 3.0}


def test_some_supports_without_a_click_name_items_of_the_scenario(supports):
    items = [set(one.candidates) for one in random_scenarios(8)]
    nothing, named = 0, []
    for one in supports:
        for item, label, length in zip(one.item, one.label, one.length, strict=True):
            if not label[:length].any():
                nothing += length == 0
                named += [item[:length]] if length else []
    assert nothing
    assert named
    assert all(any(set(shown) <= of_one for of_one in items) for shown in named)
    assert len({len(shown) for shown in named}) > 2


def test_a_third_of_a_scenario_is_left_to_ask_however_large_supports_may_be():
    scenario = random_scenarios(1)[0]
    pairs = len(scenario.users)
    config = EpisodeConfig(4 * pairs, 0, query_positives=8, tasks_per_step=8)
    data = scenario_data([scenario], users=30, items=96)
    sample = tf.function(
        MatchingSampler(data, config, 0, None, query_negatives=1).sample, autograph=False
    )
    whole = max(int(sample(np.int64(step)).support.length.numpy().max()) for step in range(4))
    assert whole == pairs * 2 // 3


def test_a_positive_counts_less_the_more_its_user_takes():
    pairs = [(user, item) for user in range(12) for item in range(1 + 3 * (user % 3))]
    data = scenario_data([scenario("a", pairs, range(20))])
    config = EpisodeConfig(4, 8, query_positives=16, tasks_per_step=2)
    sample = tf.function(
        MatchingSampler(data, config, 0, None, query_negatives=2).sample, autograph=False
    )
    for step in range(5):
        drawn = sample(np.int64(step))
        user, label = drawn.query_user.numpy(), drawn.query_label.numpy()
        weight = 1 / np.sqrt(1 + 3 * (user % 3))
        expected = weight / weight.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(label[:, :16], expected, rtol=1e-5)
        assert not label[:, 16:].any()


def test_a_positive_whose_item_is_hidden_counts_more():
    pairs = [(user, item) for user in range(12) for item in range(1 + 3 * (user % 3))]
    data = scenario_data([scenario("a", pairs, range(20))])
    config = EpisodeConfig(4, 8, query_positives=16, tasks_per_step=2)
    users, items = len(data.user_ids), len(data.item_ids)
    open_, hiding = (
        tf.function(
            MatchingSampler(data, config, 0, hidden, query_negatives=2).sample, autograph=False
        )
        for hidden in (None, Hiding(users, items, 0))
    )
    hidden = []
    for step in range(12):
        plain, drawn = open_(np.int64(step)), hiding(np.int64(step))
        hidden.append(drawn.query_item.numpy()[:, :16] >= items)
        expected = np.where(hidden[-1], 1.15, 1.0) * plain.query_label.numpy()[:, :16]
        np.testing.assert_allclose(drawn.query_label.numpy()[:, :16], expected, rtol=1e-5)
        assert not drawn.query_label.numpy()[:, 16:].any()
    assert 0 < np.mean(hidden) < 1
