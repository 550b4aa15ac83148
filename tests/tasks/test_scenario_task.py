"""The hinge of the scenario setting (equation 4)."""

import numpy as np
import pytest
import tensorflow as tf
from reference import numpy_reference

from cmml_tf.tasks.scenario import HingeTask


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


def test_odd_query_size_is_refused():
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        HingeTask()(tf.ones([2, 3]))
