"""The user setting's objective (equation 5), and that absolute errors go for the median."""

import numpy as np
import pytest
import tensorflow as tf

from cmml_tf.tasks.rating import RatingTask

SCORES = np.float32([[3.0, 5.0, 1.0], [2.0, 2.0, 2.0]])
RATINGS = np.float32([[4.0, 5.0, 4.0], [2.0, 3.5, 2.0]])


@pytest.mark.parametrize(
    ("loss", "expected"), [("squared", [10 / 3, 0.75]), ("absolute", [4 / 3, 0.5])]
)
def test_each_task_has_the_mean_over_its_query(loss, expected):
    losses = RatingTask(loss)(tf.constant(SCORES), tf.constant(RATINGS))
    np.testing.assert_allclose(losses, expected, rtol=1e-6)


def test_another_loss_is_refused_and_the_configuration_comes_back():
    with pytest.raises(ValueError, match=r"must be squared or absolute\. Received: loss='hinge'"):
        RatingTask("hinge")
    assert RatingTask.from_config(RatingTask("absolute").get_config()).loss == "absolute"
