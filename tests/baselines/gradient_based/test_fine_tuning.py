"""DCN-F: all tasks of a batch are fine-tuned at once, each as if it were alone."""

import numpy as np
import pytest
import tensorflow as tf
from baselines.small_tasks import built, one_task, tasks

from cmml_tf.baselines.build import build_baseline
from cmml_tf.baselines.gradient_based.support_loss import support_hinge
from cmml_tf.config.baselines import BASELINES, DcnConfig, FineTuningConfig
from cmml_tf.types import Support

SMALL = DcnConfig(2, (5,))


def fine_tuned_alone(model, episode, optimizer, steps):
    """Fine-tunes the DCN itself with a Keras optimiser on one task's support, then undoes it."""
    support, network = episode.support, model.dcn.network
    before = network.get_weights()
    for _ in range(steps):
        with tf.GradientTape() as tape:
            scores = network(model.pair_embedding(support.user, support.item))
            loss = tf.reduce_sum(support_hinge(scores, support))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
    scores = model.dcn(episode).numpy()
    network.set_weights(before)
    return scores


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_batch_is_fine_tuned_as_keras_tunes_each_task(optimizer):
    model = built(FineTuningConfig(SMALL, steps=4, learning_rate=0.02, optimizer=optimizer))
    episode = tasks(lengths=[18, 18, 13])
    scores = tf.function(model)(episode)
    kinds = {"adam": tf.keras.optimizers.legacy.Adam, "sgd": tf.keras.optimizers.legacy.SGD}
    for row in range(3):
        task = one_task(episode, row)
        expected = fine_tuned_alone(model, task, kinds[optimizer](0.02), 4)
        # Adam makes whole steps of the rounding of a gradient that is zero: those of biases that
        # cancel out between a positive and its negative.
        np.testing.assert_allclose(scores[row : row + 1], expected, atol=5e-3)
        assert np.abs(expected - model.dcn(task)).max() > 0.1


def test_the_trained_weights_stay_as_they_are():
    model = built(FineTuningConfig(SMALL))
    before = model.dcn.get_weights()
    model.adapt(tasks().support)
    for old, new in zip(before, model.dcn.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_task_without_support_scores_as_the_dcn():
    model = built(FineTuningConfig(SMALL, steps=2))
    episode = tasks(lengths=[0, 18, 6])  # the last has positives only
    scores, plain = model(episode), model.dcn(episode)
    np.testing.assert_allclose(scores[0], plain[0], rtol=1e-5)
    np.testing.assert_allclose(scores[2], plain[2], rtol=1e-5)
    assert np.abs(scores[1] - plain[1]).max() > 1e-3


def test_the_support_loss_is_the_mean_over_couples_of_one_user():
    support = Support(
        tf.constant([[7, 8, 7, 8, 8, 7]]),
        tf.constant([[1, 2, 3, 4, 5, 6]]),
        tf.constant([[1.0, 1.0, 0.0, 0.0, 0.0, np.nan]]),
        tf.constant([5]),
    )
    scores = tf.constant([[2.0, 1.0, 1.5, 3.0, -1.0, np.nan]])
    # User 7: 2 over 1.5. User 8: 1 over 3, 1 over -1. What lies behind the length is not read.
    expected = (max(0, 1 - 2 + 1.5) + max(0, 1 - 1 + 3) + max(0, 1 - 1 - 1)) / 3
    np.testing.assert_allclose(support_hinge(scores, support), [expected], rtol=1e-6)


def test_equal_seeds_give_equal_models():
    models = []
    for _ in range(2):
        tf.keras.utils.set_random_seed(5)
        models.append(build_baseline(FineTuningConfig(SMALL), 3, 4, 2, 2))
    for first, second in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_papers_steps():
    assert (BASELINES["dcn-f"].steps, BASELINES["dcn-f-taobao"].steps) == (10, 5)
    with pytest.raises(ValueError, match=r"`optimizer` must be one of adam, sgd\. Received"):
        FineTuningConfig(optimizer="adagrad")
