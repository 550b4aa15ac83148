"""DCN computes the cross network's formula, and is the same for every task."""

import numpy as np
import pytest
import tensorflow as tf
from baselines.small_tasks import built, embedded, one_task, tasks

from cmml_tf.baselines.dcn import DeepCrossNetwork, cross
from cmml_tf.config.baselines import DcnConfig


def dcn_score(x0, weights, cross_layers):
    """One pair's score, in float64 and without matrix products of batches."""
    weights = [weight.astype(np.float64) for weight in weights]
    x = x0
    for layer in range(cross_layers):
        w, b = weights[2 * layer], weights[2 * layer + 1]
        x = x0 * sum(x[i] * w[i, 0] for i in range(len(x))) + b + x
    deep = x0
    for layer in range(cross_layers, len(weights) // 2 - 1):
        deep = np.maximum(deep @ weights[2 * layer] + weights[2 * layer + 1], 0.0)
    return (np.concatenate([x, deep]) @ weights[-2] + weights[-1])[0]


def test_scores_are_the_formula():
    model = built(DcnConfig(cross_layers=2, deep_units=(5, 3)))
    episode = tasks()
    scores = model(episode).numpy()
    weights = [weight.numpy() for weight in model.network.trainable_variables]
    expected = [
        [dcn_score(pair, weights, 2) for pair in embedded(model, user, item)]
        for user, item in zip(episode.query_user, episode.query_item, strict=True)
    ]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_the_cross_layer_of_tfrs_computes_something_else():
    """The reason for our own: its bias is multiplied with x0, which no weights make up for."""
    import tensorflow_recommenders as tfrs  # after cmml_tf has chosen Keras 2

    x0 = tf.constant([[1.0, 2.0], [0.0, 0.0]])
    ours = cross(x0[None], x0[None], tf.zeros([2, 1]), tf.constant([3.0, 4.0]))[0]
    np.testing.assert_allclose(ours, [[4.0, 6.0], [3.0, 4.0]])
    layer = tfrs.layers.dcn.Cross(bias_initializer="ones")
    np.testing.assert_array_equal(layer(x0, x0)[1], [0.0, 0.0])  # x0 = 0 leaves no bias


def test_the_support_set_changes_nothing():
    model, episode = built(DcnConfig(1, (3,))), tasks()
    other = episode._replace(support=tasks(seed=2).support)
    np.testing.assert_array_equal(model(episode), model(other))
    assert model.adapt(episode.support) == ()


def test_weights_of_each_task_stand_in_for_the_networks_own():
    layer = DeepCrossNetwork(2, [5])
    pairs = tf.random.stateless_normal([3, 4, 6], [0, 1])
    layer.build(pairs.shape)
    each = [tf.random.stateless_normal([3, *w.shape], [2, n]) for n, w in enumerate(layer.weights)]
    together = layer(pairs, each)
    for row in range(3):
        alone = layer(pairs[row : row + 1], [weight[row] for weight in each])
        np.testing.assert_allclose(together[row : row + 1], alone, rtol=1e-5, atol=1e-5)


def test_network_is_made_again_from_its_config():
    layer = DeepCrossNetwork(2, [5])
    again = DeepCrossNetwork.from_config(layer.get_config())
    pairs = tf.ones([1, 2, 6])
    layer(pairs), again(pairs)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(pairs), again(pairs))


def test_training_moves_every_weight_that_ranks():
    model, episode = built(DcnConfig(2, (5,))), tasks()
    before = model.network.get_weights()
    model.compile(optimizer=tf.keras.optimizers.legacy.Adam(0.01))
    model.train_step(episode)
    after = model.network.get_weights()
    moved = [np.abs(new - old).max() > 0 for old, new in zip(before, after, strict=True)]
    # Differences of scores, which the hinge loss reads, know neither of the last biases.
    assert moved == [True, True, True, False, *[True] * 3, False]
    with pytest.raises(ValueError, match="`cross_layers` must be a positive integer"):
        DcnConfig(cross_layers=0)


def test_tasks_do_not_depend_on_each_other():
    model, episode = built(DcnConfig(2, (5,))), tasks()
    np.testing.assert_allclose(model(one_task(episode, 1))[0], model(episode)[1], rtol=1e-5)
