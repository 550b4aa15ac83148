"""The objectives of the scenario setting: the hinge (equation 4) and the logistic loss."""

import numpy as np
import pytest
import tensorflow as tf
from reference import numpy_reference

from cmml_tf.tasks.scenario import HingeTask, LogisticTask, SoftmaxTask, ranking_task


def test_equals_the_reference_task_by_task():
    scores = np.random.default_rng(0).normal(size=[4, 10]).astype(np.float32)
    expected = [numpy_reference.hinge_loss(row) for row in scores]
    np.testing.assert_allclose(HingeTask()(tf.constant(scores)), expected, rtol=1e-6)


def test_first_half_are_the_positives():
    assert HingeTask()(tf.constant([[5.0, -5.0]])).numpy() == [0.0]
    assert HingeTask()(tf.constant([[-5.0, 5.0]])).numpy() == [11.0]


def test_margin_is_what_a_positive_must_lead_by():
    scores = tf.constant([[2.0, 0.0]])
    assert HingeTask(margin=3.0)(scores).numpy() == [1.0]
    assert HingeTask(margin=2.0)(scores).numpy() == [0.0]


def test_config_round_trip():
    task = HingeTask(margin=0.5)
    assert HingeTask.from_config(task.get_config()).margin == 0.5


@pytest.mark.parametrize("task", [HingeTask(), LogisticTask()])
def test_odd_query_size_is_refused(task):
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        task(tf.ones([2, 3]))


def test_logistic_is_the_log_likelihood_of_the_preferences():
    scores = np.random.default_rng(0).normal(size=[4, 10])
    preferred = 1 / (1 + np.exp(scores[:, 5:] - scores[:, :5]))
    expected = -np.log(preferred).mean(axis=1)
    np.testing.assert_allclose(LogisticTask()(tf.constant(scores)), expected, rtol=1e-6)


def test_logistic_is_finite_however_wrong_the_scores():
    assert LogisticTask()(tf.constant([[-500.0, 500.0]])).numpy() == [1000.0]


def test_the_loss_of_a_configuration_by_name():
    assert isinstance(ranking_task("hinge"), HingeTask)
    assert isinstance(ranking_task("logistic"), LogisticTask)


def test_softmax_counts_each_positive_by_its_label():
    rng = np.random.default_rng(0)
    scores, label = rng.normal(size=[4, 15]), np.zeros([4, 15])
    label[:, :5] = rng.uniform(size=[4, 5])
    each = scores.reshape(4, 3, 5)
    loss = np.log(np.exp(each).sum(axis=1)) - each[:, 0]
    task = SoftmaxTask(negatives=2)
    np.testing.assert_allclose(task(scores, label), (loss * label[:, :5]).mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(task(scores), loss.mean(axis=1), rtol=1e-6)
