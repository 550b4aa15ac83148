"""User evaluation: means over users, another user's support, the means to beat."""

import numpy as np

from cmml_tf.baselines.rating_means import GlobalMean, ItemMeanAndUserBias, UserMean, item_means
from cmml_tf.datasets.tasks.rating_tasks import RatingTasks
from cmml_tf.episodes.asked_users import AskedUsers
from cmml_tf.evaluation.rating import (
    evaluate_ratings,
    predicted_ratings,
    support_length_curve,
)

TASKS = RatingTasks(
    np.int32([0, 1, 2]),
    np.int64([0, 3, 7, 10]),
    np.int32([0, 1, 2, 0, 1, 2, 3, 3, 1, 0]),
    np.float32([5, 4, 1, 1, 2, 3, 5, 4, 2, 2]),
)


ASKED = AskedUsers.of(TASKS, 2, np.array(["a", "b", "c"]))


def test_each_user_counts_the_same():
    metrics = evaluate_ratings(
        lambda e: np.full(e.query_item.shape, 3.0), ASKED.names, ASKED.batches(batch=2)
    )
    np.testing.assert_allclose(metrics.rows["mae"], [1.5, 1.0, 1.0])
    np.testing.assert_allclose(metrics.means()["mae"], 3.5 / 3)
    assert metrics.table()["name"].tolist() == ["a", "b", "c"]


def test_means_are_those_of_support_and_training():
    means = item_means(TASKS, 5)
    ratings = TASKS.rating[TASKS.item == 0] - 2.9
    np.testing.assert_allclose(means.item[0], 2.9 + ratings.sum() / (3 + 3))
    np.testing.assert_allclose([means.overall, means.item[4]], 2.9)  # nobody rated item 4
    (episode,), (empty,) = ASKED.batches(), ASKED.batches(longest=0)
    everyone, mean, bias = (
        predicted_ratings(kind(means)) for kind in (GlobalMean, UserMean, ItemMeanAndUserBias)
    )
    assert (everyone(episode) == means.overall).all()
    np.testing.assert_allclose(mean(episode)[:, 0], [5, 1.5, 4])
    expected = means.item[[1, 2]] + (5 - means.item[0]) / (1 + 3)
    np.testing.assert_allclose(bias(episode)[0], expected)
    np.testing.assert_allclose(mean(empty), means.overall)
    np.testing.assert_allclose(bias(empty), means.item[empty.query_item])


def test_the_curve_gives_the_first_ratings_only():
    def count(episode):
        lengths = episode.support.length[:, None]
        return np.repeat(lengths, 2, axis=1) + episode.query_label

    curve = support_length_curve(count, ASKED, (0, 1, 2))
    np.testing.assert_allclose([means["mae"] for means in curve.values()], [0, 1, 4 / 3])
