"""User evaluation: means over users, the means to beat, known and unknown items apart."""

import numpy as np
import pytest

from cmml_tf.baselines.simple_ratings.means import (
    GlobalMean,
    ItemMeanAndUserBias,
    UserMean,
    item_means,
)
from cmml_tf.datasets.tasks.rating_tasks import RatingTasks
from cmml_tf.episodes.asked_users import AskedUsers
from cmml_tf.episodes.user_curve import UserCurve
from cmml_tf.evaluation.rating import evaluate_ratings, predicted_ratings

TASKS = RatingTasks(
    np.int32([0, 1, 2]),
    np.int64([0, 3, 7, 10]),
    np.int32([0, 1, 2, 0, 1, 2, 3, 3, 1, 0]),
    np.float32([5, 4, 1, 1, 2, 3, 5, 4, 2, 2]),
)


ASKED = AskedUsers.of(TASKS, 2, np.array(["a", "b", "c"]))


def test_each_user_counts_the_same():
    metrics = evaluate_ratings(lambda e: np.full(e.query_item.shape, 3.0), ASKED)
    np.testing.assert_allclose(metrics.rows["mae"], [1.5, 1.0, 1.0])
    np.testing.assert_allclose(metrics.means()["mae"], 3.5 / 3)
    assert metrics.table()["name"].tolist() == ["a", "b", "c"]


def test_ratings_of_items_that_nobody_learned_from_are_a_part():
    asked = AskedUsers.of(TASKS, 2, np.array(["a", "b", "c"]), np.array([True, False, True, True]))
    metrics = evaluate_ratings(lambda e: np.full(e.query_item.shape, 3.0), asked)
    errors = {name: rows["mae"].tolist() for name, rows in metrics.parts.items()}
    nan = pytest.approx(np.nan, nan_ok=True)
    # Asked are items 1 2 with ratings 4 1, then 2 3 with 3 5, and 1 0 with 2 2.
    assert errors["known_items"] == [2.0, 1.0, 1.0]
    assert errors["unknown_items"] == [1.0, nan, 1.0]
    assert errors["unknown_users"] == [1.5, 1.0, 1.0]
    assert "known_users" not in metrics.part_means()


def test_means_are_those_of_support_and_training():
    means = item_means(TASKS, 5)
    ratings = TASKS.rating[TASKS.item == 0] - 2.9
    np.testing.assert_allclose(means.item[0], 2.9 + ratings.sum() / (3 + 3))
    np.testing.assert_allclose([means.overall, means.item[4]], 2.9)  # nobody rated item 4
    (episode,), (empty,) = ASKED.batches(), UserCurve.of(ASKED).tasks(0, 0).batches()
    everyone, mean, bias = (
        predicted_ratings(kind(means)) for kind in (GlobalMean, UserMean, ItemMeanAndUserBias)
    )
    assert (everyone(episode) == means.overall).all()
    np.testing.assert_allclose(mean(episode)[:, 0], [5, 1.5, 4])
    expected = means.item[[1, 2]] + (5 - means.item[0]) / (1 + 3)
    np.testing.assert_allclose(bias(episode)[0], expected)
    np.testing.assert_allclose(mean(empty), means.overall)
    np.testing.assert_allclose(bias(empty), means.item[empty.query_item])
