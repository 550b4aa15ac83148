"""User evaluation: means over users, both answers, intervals, and the simple means to beat."""

import numpy as np
import pytest

from cmml_tf.baselines.simple_ratings.means import (
    GlobalMean,
    ItemMeanAndUserBias,
    UserMean,
    item_means,
)
from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.episodes.asked.asked_users import AskedUsers
from cmml_tf.episodes.asked.user_curve import UserCurve
from cmml_tf.evaluation.altered_support import FlippedLabels, WithoutSupport
from cmml_tf.evaluation.rating import evaluate_ratings, predicted_ratings

TASKS = RatingTasks(
    np.int32([0, 1, 2]),
    np.int64([0, 3, 7, 10]),
    np.int32([0, 1, 2, 0, 1, 2, 3, 3, 1, 0]),
    np.float32([5, 4, 1, 1, 2, 3, 5, 4, 2, 2]),
)
ASKED = AskedUsers.of(TASKS, 2, np.array(["a", "b", "c"]))


def always(**answers):
    return lambda episode: {
        name: np.full(episode.query_item.shape, value) for name, value in answers.items()
    }


def test_each_user_counts_the_same():
    metrics = evaluate_ratings(always(score=3.0), ASKED)
    np.testing.assert_allclose(metrics.rows["mae"], [1.5, 1.0, 1.0])
    np.testing.assert_allclose(metrics.means()["mae"], 3.5 / 3)
    assert metrics.table()["name"].tolist() == ["a", "b", "c"]


def test_a_system_with_one_answer_has_it_as_its_median_too():
    metrics = evaluate_ratings(always(score=3.4), ASKED)
    np.testing.assert_allclose(metrics.rows["mae_median"], metrics.rows["mae"])
    np.testing.assert_allclose(metrics.rows["mae_rounded"], [1.5, 1.0, 1.0])
    assert "covered" not in metrics.rows


@pytest.mark.parametrize(
    ("score", "rounded"), [(0.2, 1), (1.4, 1), (3.6, 4), (4.6, 5), (9.0, 5), (2.5, 3)]
)
def test_scores_are_rounded_to_ratings_that_are_given(score, rounded):
    ours, theirs = (
        evaluate_ratings(always(score=value), ASKED).rows for value in (score, float(rounded))
    )
    np.testing.assert_allclose(ours["mae_rounded"], theirs["mae"])


def test_the_median_and_the_interval_are_judged_beside_the_mean():
    answers = always(score=3.0, score_median=4.0, score_low=2.0, score_high=4.0)
    metrics = evaluate_ratings(answers, ASKED)
    np.testing.assert_allclose(metrics.rows["mae"], [1.5, 1.0, 1.0])
    np.testing.assert_allclose(metrics.rows["mae_median"], [1.5, 1.0, 2.0])
    np.testing.assert_allclose(metrics.rows["covered"], [0.5, 0.5, 1.0])  # 4 1, 3 5, 2 2
    np.testing.assert_allclose(metrics.rows["interval_width"], 2.0)


def test_ratings_of_items_that_nobody_learned_from_are_a_part():
    asked = AskedUsers.of(TASKS, 2, np.array(["a", "b", "c"]), np.array([True, False, True, True]))
    metrics = evaluate_ratings(always(score=3.0), asked)
    errors = {name: rows["mae"].tolist() for name, rows in metrics.parts.items()}
    nan = pytest.approx(np.nan, nan_ok=True)
    # Asked are items 1 2 with ratings 4 1, then 2 3 with 3 5, and 1 0 with 2 2.
    assert errors["known_items"] == [2.0, 1.0, 1.0]
    assert errors["unknown_items"] == [1.0, nan, 1.0]
    assert errors["unknown_users"] == [1.5, 1.0, 1.0]
    assert "known_users" not in metrics.part_means()


class _Sure:
    """Answers all it is asked with the mean of the support, and says so twice."""

    reads_support = True

    def adapt(self, support):
        return (support.label.sum(axis=1) / np.maximum(support.length, 1)) * (support.length > 0)

    def score(self, adapted, user, item):
        return np.repeat(adapted[:, None], item.shape[1], axis=1)

    def answers(self, adapted, user, item):
        score = self.score(adapted, user, item)
        return {"score": score, "score_median": score + 1}


def test_controls_of_a_model_keep_all_its_answers():
    (episode,) = ASKED.batches()
    for control in (WithoutSupport(_Sure()), FlippedLabels(_Sure(), (1.0, 5.0))):
        said = predicted_ratings(control)(episode)
        np.testing.assert_allclose(said["score_median"], said["score"] + 1)


def test_means_are_those_of_support_and_training():
    means = item_means(TASKS, 5)
    ratings = TASKS.rating[TASKS.item == 0] - 2.9
    np.testing.assert_allclose(means.item[0], 2.9 + ratings.sum() / (3 + 3))
    np.testing.assert_allclose([means.overall, means.item[4]], 2.9)  # nobody rated item 4
    (episode,), (empty,) = ASKED.batches(), UserCurve(ASKED, draws=1).tasks(0, 0).batches()
    everyone, mean, bias = (
        predicted_ratings(kind(means)) for kind in (GlobalMean, UserMean, ItemMeanAndUserBias)
    )
    assert (everyone(episode)["score"] == means.overall).all()
    np.testing.assert_allclose(mean(episode)["score"][:, 0], [5, 1.5, 4])
    expected = means.item[[1, 2]] + (5 - means.item[0]) / (1 + 3)
    np.testing.assert_allclose(bias(episode)["score"][0], expected)
    np.testing.assert_allclose(mean(empty)["score"], means.overall)
    np.testing.assert_allclose(bias(empty)["score"], means.item[empty.query_item])
