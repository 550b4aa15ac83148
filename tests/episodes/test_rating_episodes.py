"""Tasks of users, drawn by (seed, step), and the fixed ones of evaluation."""

import numpy as np
import pytest
import tensorflow as tf

from cmml_tf.config.rating import RatingEpisodeConfig
from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.episodes import sampled_steps
from cmml_tf.episodes.rating_episodes import (
    RatingEpisodeSampler,
)

LENGTHS = np.array([5, 9, 4, 7])
# An item tells its user and place, a rating its item.
ITEM = np.concatenate([100 * t + np.arange(n) for t, n in enumerate(LENGTHS)]).astype(np.int32)
TASKS = RatingTasks(
    np.int32([3, 1, 0, 2]),
    np.concatenate([[0], np.cumsum(LENGTHS)]),
    ITEM,
    (ITEM % 7 + ITEM // 100).astype(np.float32),
)
FULL = RatingEpisodeConfig(tasks_per_step=4, short_supports=0.0)


def test_a_visit_divides_all_ratings_of_a_user_into_support_and_query():
    sampler = RatingEpisodeSampler(TASKS, 2, FULL, seed=0)
    queries = set()
    for step in range(6):
        episode = sampler.sample(tf.constant(step, tf.int64))
        assert sorted(episode.query_user[:, 0].numpy()) == [0, 1, 2, 3]  # every user once
        for b in range(4):
            n = int(episode.support.length[b])
            support, query = episode.support.item[b, :n].numpy(), episode.query_item[b].numpy()
            t = query[0] // 100
            assert sorted([*support, *query]) == list(range(100 * t, 100 * t + LENGTHS[t]))
            assert TASKS.user[t] == episode.query_user[b, 0] == episode.support.user[b, 0]
            np.testing.assert_array_equal(episode.query_label[b], query % 7 + query // 100)
            np.testing.assert_array_equal(
                episode.support.label[b, :n], support % 7 + support // 100
            )
            queries.add(tuple(query))
    assert len(queries) > 15  # anew at each visit


def test_short_supports_have_any_length_below_the_whole():
    config = RatingEpisodeConfig(tasks_per_step=4, short_supports=1.0)
    sampler = RatingEpisodeSampler(TASKS, 2, config, seed=0)
    seen = {}
    for step in range(60):
        episode = sampler.sample(tf.constant(step, tf.int64))
        drawn = episode.query_user[:, 0].numpy(), episode.support.length.numpy()
        for user, length in zip(*drawn, strict=True):
            seen.setdefault(int(user), set()).add(int(length))
    assert seen == {
        int(user): set(range(n - 2)) for user, n in zip(TASKS.user, LENGTHS, strict=True)
    }


def test_a_resumed_training_goes_on_with_the_same_tasks():
    config = RatingEpisodeConfig(tasks_per_step=3)
    whole = list(sampled_steps(RatingEpisodeSampler(TASKS, 2, config, 5).sample).take(4))
    rest = list(sampled_steps(RatingEpisodeSampler(TASKS, 2, config, 5).sample, 2).take(2))
    for expected, received in zip(whole[2:], rest, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, expected, received)
    other = next(iter(sampled_steps(RatingEpisodeSampler(TASKS, 2, config, 6).sample)))
    assert (other.query_item.numpy() != whole[0].query_item.numpy()).any()


def test_a_task_without_a_support_rating_is_refused():
    with pytest.raises(ValueError, match=r"more ratings than its query \(4\)"):
        RatingEpisodeSampler(TASKS, 4, FULL, seed=0)
