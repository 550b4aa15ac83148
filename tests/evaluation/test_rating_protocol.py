"""User evaluation: means over users, another user's support, the means to beat."""

import numpy as np

from cmml_tf.baselines.rating_means import (
    global_mean,
    item_mean_and_user_bias,
    item_means,
    user_mean,
)
from cmml_tf.datasets.rating_tasks import RatingTasks
from cmml_tf.episodes.rating_episodes import evaluation_batches
from cmml_tf.evaluation.rating_protocol import evaluate_ratings, support_length_curve, swapped

TASKS = RatingTasks(
    np.int32([0, 1, 2]),
    np.int64([0, 3, 7, 10]),
    np.int32([0, 1, 2, 0, 1, 2, 3, 3, 1, 0]),
    np.float32([5, 4, 1, 1, 2, 3, 5, 4, 2, 2]),
)


def test_each_user_counts_the_same():
    episodes = evaluation_batches(TASKS, 2, batch=2)
    evaluation = evaluate_ratings(lambda e: np.full(e.query_item.shape, 3.0), episodes)
    np.testing.assert_allclose(evaluation.rows["mae"], [1.5, 1.0, 1.0])
    np.testing.assert_allclose(evaluation.means()["mae"], 3.5 / 3)


def test_swapped_support_is_another_users_and_the_question_the_same():
    episodes = evaluation_batches(TASKS, 2, batch=2)
    changed = swapped(episodes)
    assert [e.query_item.tolist() for e in changed] == [e.query_item.tolist() for e in episodes]
    np.testing.assert_array_equal(changed[0].support.label[0, :1], [4])  # of the last user
    np.testing.assert_array_equal(changed[0].support.label[1, :1], [5])
    np.testing.assert_array_equal(changed[1].support.label[0, :2], [1, 2])
    np.testing.assert_array_equal(changed[1].support.user[0], [2, 2])  # the profile stays


def test_means_are_those_of_support_and_training():
    means = item_means(TASKS, 5)
    ratings = TASKS.rating[TASKS.item == 0] - 2.9
    np.testing.assert_allclose(means.item[0], 2.9 + ratings.sum() / (3 + 3))
    np.testing.assert_allclose([means.overall, means.item[4]], 2.9)  # nobody rated item 4
    (episode,) = evaluation_batches(TASKS, 2)
    assert (global_mean(means, episode) == means.overall).all()
    np.testing.assert_allclose(user_mean(means, episode)[:, 0], [5, 1.5, 4])
    bias = (5 - means.item[0]) / (1 + 3)
    expected = means.item[[1, 2]] + bias
    np.testing.assert_allclose(item_mean_and_user_bias(means, episode)[0], expected)
    (empty,) = evaluation_batches(TASKS, 2, longest=0)
    np.testing.assert_allclose(user_mean(means, empty), means.overall)
    asked = means.item[empty.query_item]
    np.testing.assert_allclose(item_mean_and_user_bias(means, empty), asked)


def test_the_curve_gives_the_first_ratings_only():
    def count(episode):
        lengths = episode.support.length[:, None]
        return np.repeat(lengths, 2, axis=1) + episode.query_label

    curve = support_length_curve(count, TASKS, 2, (0, 1, 2))
    np.testing.assert_allclose([means["mae"] for means in curve.values()], [0, 1, 4 / 3])
