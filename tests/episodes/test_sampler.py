"""Sampled tasks against the rules of paper section 2, checked pair by pair."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from episodes.small_data import random_scenarios, scenario, scenario_data

from cmml_tf.config import EpisodeConfig
from cmml_tf.episodes import EpisodeSampler

CONFIG = EpisodeConfig(support_positives=8, support_negatives=11, query_positives=10)
HISTORY = [(user, item) for user in range(0, 30, 2) for item in range(0, 120, 4)]


def _sampler(data, seed=0, **changes):
    return EpisodeSampler(data, dataclasses.replace(CONFIG, **changes), seed)


def _sample(sampler, steps):
    specs = [tf.TensorSpec([], tf.int64)]
    draw = tf.function(sampler.sample, input_signature=specs, autograph=False)
    return [tf.nest.map_structure(lambda t: t.numpy(), draw(np.int64(step))) for step in steps]


def _tasks(episodes):
    """Each task as dictionaries of its (user, item) lists."""
    for episode in episodes:
        support = episode.support
        for row in range(len(support.length)):
            pairs = list(zip(support.user[row], support.item[row], strict=True))
            query = list(zip(episode.query_user[row], episode.query_item[row], strict=True))
            half = len(query) // 2
            yield {
                "support": pairs[: CONFIG.support_positives],
                "support_negatives": pairs[CONFIG.support_positives :],
                "query": query[:half],
                "query_negatives": query[half:],
            }


@pytest.fixture(scope="module")
def drawn():
    """Ten scenarios, some of them small, and 150 steps of three tasks of them."""
    scenarios = [*random_scenarios(8), *random_scenarios(10, seed=1, pairs=14)[8:]]
    data = scenario_data(scenarios, HISTORY, users=30, items=120)
    return data, list(_tasks(_sample(_sampler(data, tasks_per_step=3), range(150))))


def _scenario_of(data, task):
    item = task["support"][0][1]
    return next(one for one in data.meta_train if item in one.candidates)


def test_shapes_types_and_labels():
    data = scenario_data(random_scenarios(4), users=30)
    (episode,) = _sample(_sampler(data, tasks_per_step=3), [5])
    support = episode.support
    assert support.user.shape == support.item.shape == support.label.shape == (3, 19)
    assert support.length.tolist() == [19, 19, 19]
    assert episode.query_user.shape == episode.query_item.shape == (3, 20)
    kinds = (support.user, support.item, support.length, episode.query_user, episode.query_item)
    assert {array.dtype.name for array in kinds} == {"int32"}
    np.testing.assert_array_equal(support.label, np.tile([1.0] * 8 + [0.0] * 11, (3, 1)))
    np.testing.assert_array_equal(episode.query_label, np.tile([1.0] * 10 + [0.0] * 10, (3, 1)))


def test_positives_are_pairs_of_the_scenario_and_each_is_support_or_query(drawn):
    data, tasks = drawn
    for task in tasks:
        one = _scenario_of(data, task)
        pairs = set(zip(one.users, one.items, strict=True))
        support, query = set(task["support"]), set(task["query"])
        assert support <= pairs
        assert query <= pairs
        assert not support & query


def test_enough_pairs_are_drawn_without_repetition_and_few_repeat(drawn):
    data, tasks = drawn
    seen = set()
    for task in tasks:
        pairs = len(_scenario_of(data, task).users)
        seen.add(pairs)
        support, query = len(set(task["support"])), len(set(task["query"]))
        if pairs >= 18:
            assert (support, query) == (8, 10)
        else:
            # Divided 8 : 10, all of them used.
            assert (support, query) == (pairs * 8 // 18, pairs - pairs * 8 // 18)
    assert seen == {60, 14}


def test_two_pairs_give_one_to_support_and_one_to_query():
    data = scenario_data([scenario("two", [(0, 1), (3, 2)], [1, 2, 3])])
    drawn = set()
    for task in _tasks(_sample(_sampler(data, tasks_per_step=1), range(20))):
        assert len(set(task["support"])) == len(set(task["query"])) == 1
        drawn |= {task["support"][0]}
        assert {task["support"][0], task["query"][0]} == {(0, 1), (3, 2)}
    assert drawn == {(0, 1), (3, 2)}


def test_support_negative_is_the_positives_user_with_another_item_of_the_scenario(drawn):
    data, tasks = drawn
    for task in tasks:
        candidates = set(_scenario_of(data, task).candidates)
        for place, (user, item) in enumerate(task["support_negatives"]):
            of_user, of_item = task["support"][place % 8]
            assert user == of_user
            assert item != of_item
            assert item in candidates


def test_query_negative_is_an_item_of_the_scenario_the_user_never_took(drawn):
    data, tasks = drawn
    taken = set(HISTORY)
    for one in data.meta_train:
        taken |= set(zip(one.users, one.items, strict=True))
    for task in tasks:
        candidates = set(_scenario_of(data, task).candidates)
        for positive, negative in zip(task["query"], task["query_negatives"], strict=True):
            assert negative[0] == positive[0]
            assert negative not in taken
            assert negative[1] in candidates


def _is_uniform(counts):
    expected = np.sum(counts) / len(counts)
    degrees = len(counts) - 1
    chi_square = np.sum((np.array(counts) - expected) ** 2 / expected)
    return chi_square < degrees + 5 * np.sqrt(2 * degrees)


def test_negatives_are_uniform():
    # User 0 took 1, 4, 9 of twelve items (9 elsewhere), user 1 took 0.
    data = scenario_data([scenario("one", [(0, 1), (0, 4), (1, 0)], range(12))], [(0, 9)])
    support, query = np.zeros(12, int), np.zeros(12, int)
    for task in _tasks(_sample(_sampler(data, tasks_per_step=1), range(800))):
        for place, (_, item) in enumerate(task["support_negatives"]):
            support[item] += task["support"][place % 8] == (1, 0)
        for user, item in task["query_negatives"]:
            query[item] += user == 0
    assert support[0] == 0
    assert _is_uniform(support[1:])
    assert query[[1, 4, 9]].sum() == 0
    assert _is_uniform(np.delete(query, [1, 4, 9]))


def test_positives_are_uniform():
    data = scenario_data(random_scenarios(1, pairs=25), users=30)
    one = data.meta_train[0]
    places = {pair: place for place, pair in enumerate(zip(one.users, one.items, strict=True))}
    support, query = np.zeros(25, int), np.zeros(25, int)
    for task in _tasks(_sample(_sampler(data, tasks_per_step=1), range(500))):
        for pair in task["support"]:
            support[places[pair]] += 1
        for pair in task["query"]:
            query[places[pair]] += 1
    assert _is_uniform(support)
    assert _is_uniform(query)


@pytest.mark.parametrize("tasks", [1, 3, 4, 7, 20])
def test_every_scenario_once_before_any_comes_again(tasks):
    data = scenario_data(random_scenarios(7), users=30)
    drawn = _tasks(_sample(_sampler(data, tasks_per_step=tasks), range(28)))
    order = [_scenario_of(data, task).name for task in drawn]
    laps = [order[first : first + 7] for first in range(0, len(order), 7)]
    assert all(len(set(lap)) == 7 for lap in laps)
    assert len({tuple(lap) for lap in laps}) > 1


def _equal(one, other):
    flat = zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True)
    return all(np.array_equal(a, b) for a, b in flat)


def test_seed_and_step_fix_an_episode():
    data = scenario_data(random_scenarios(6), users=30)
    first = _sample(_sampler(data, seed=3, tasks_per_step=2), [0, 1, 2, 10**9])
    again = _sample(_sampler(data, seed=3, tasks_per_step=2), [10**9, 2, 1, 0])
    assert all(_equal(a, b) for a, b in zip(first, again[::-1], strict=True))
    assert not _equal(first[0], first[1])
    other = _sample(_sampler(data, seed=4, tasks_per_step=2), [0, 1, 2])
    assert not any(_equal(a, b) for a, b in zip(first, other, strict=False))


def test_support_without_negatives():
    data = scenario_data(random_scenarios(3), users=30)
    (episode,) = _sample(_sampler(data, tasks_per_step=3, support_negatives=0), [0])
    assert episode.support.user.shape == (3, 8)
    assert episode.support.length.tolist() == [8, 8, 8]


def test_short_supports_keep_their_pairs_and_the_ratio_of_labels():
    data = scenario_data(random_scenarios(5))
    whole = _sample(_sampler(data, tasks_per_step=3), range(60))
    cut = _sample(_sampler(data, tasks_per_step=3, short_supports=0.5), range(60))
    lengths = []
    for full, short in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(full.query_item, short.query_item)
        for row, length in enumerate(short.support.length):
            lengths.append(length)
            positives = int(short.support.label[row, :length].sum())
            negatives = length - positives
            assert abs(negatives / CONFIG.support_negatives - positives / 8) < 1 / 8
            kept = np.r_[:positives, 8 : 8 + negatives]
            for long_part, short_part in zip(full.support[:3], short.support[:3], strict=True):
                np.testing.assert_array_equal(short_part[row, :length], long_part[row, kept])
    whole_share = np.mean(np.array(lengths) == CONFIG.support_size)
    assert 0.4 < whole_share < 0.6
    assert len(set(lengths)) > 6
    assert min(lengths) == 0


def test_empty_supports_have_the_share_asked_for():
    sampler = _sampler(scenario_data(random_scenarios(5)), tasks_per_step=3, empty_supports=0.3)
    lengths = np.concatenate([e.support.length for e in _sample(sampler, range(100))])
    assert set(lengths) == {0, CONFIG.support_size}
    assert 0.2 < np.mean(lengths == 0) < 0.4


def test_sub_scenarios_are_sampled_beside_their_scenarios():
    data = scenario_data(random_scenarios(5))
    count = len(data.meta_train)
    sampler = _sampler(data, sub_scenarios=2, tasks_per_step=3 * count)
    (lap,) = _sample(sampler, [0])
    sizes = [len(set(items)) for items in lap.query_item]
    whole = max(len(s.candidates) for s in data.meta_train)
    assert sum(size > (whole + 1) // 2 for size in sizes) <= count
    for row in range(3 * count):
        items = set(lap.query_item[row]) | set(lap.support.item[row])
        assert any(items <= set(s.candidates) for s in data.meta_train)
