"""DCN and DCN-F on content features: a linear layer in front, squared error on the support."""

from dataclasses import replace

import numpy as np
import tensorflow as tf
from baselines.small_ratings import built, tasks
from baselines.small_tasks import one_task

from cmml_tf.config.baselines import RATING_BASELINES, DcnConfig, FineTuningConfig, RatingDcnConfig

SMALL = RatingDcnConfig(DcnConfig(2, (5,)), projection=4, feature_dimension=3)
TUNED = replace(SMALL, fine_tuning=FineTuningConfig(steps=5, learning_rate=0.01, optimizer="sgd"))


def test_dcn_is_a_cross_network_on_a_linear_layer():
    model, episode = built(SMALL), tasks()
    values = [weight.astype(np.float64) for weight in model.network.get_weights()]
    pairs = model.pair_embedding(episode.query_user, episode.query_item).numpy()
    projected = pairs @ values[0] + values[1]
    crossed = projected
    for kernel, bias in (values[2:4], values[4:6]):
        crossed = projected * (crossed @ kernel) + bias + crossed
    deep = np.maximum(projected @ values[6] + values[7], 0)
    expected = np.concatenate([crossed, deep], axis=-1) @ values[8] + values[9]
    np.testing.assert_allclose(model(episode), expected[..., 0], rtol=1e-4, atol=1e-4)


def test_fine_tuning_descends_on_the_squared_error_of_the_support():
    model, episode = built(TUNED), tasks(lengths=[7, 4, 0])
    scores = tf.function(model)(episode)
    network = model.dcn.network
    for row, length in enumerate((7, 4, 0)):
        task = one_task(episode, row)
        before = network.get_weights()
        for _ in range(5 if length else 0):
            with tf.GradientTape() as tape:
                pairs = model.pair_embedding(task.support.user, task.support.item)[:, :length]
                error = network(pairs) - task.support.label[:, :length]
                loss = tf.reduce_mean(tf.square(error))
            gradients = tape.gradient(loss, network.trainable_variables)
            for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
                variable.assign_sub(0.01 * gradient)
        expected = model.dcn(task).numpy()
        network.set_weights(before)
        np.testing.assert_allclose(scores[row : row + 1], expected, atol=1e-3)


def test_the_papers_settings():
    dcn, tuned = RATING_BASELINES["dcn"].model, RATING_BASELINES["dcn-f"]
    assert (dcn.projection, dcn.network, dcn.fine_tuning) == (64, DcnConfig(3, (64, 64)), None)
    assert (tuned.model.fine_tuning.steps, tuned.model.fine_tuning.learning_rate) == (5, 2e-4)
    assert tuned.trained_as == "dcn"
