"""CoNet computes its cross connections, and learns from both domains."""

import numpy as np
import pytest
import tensorflow as tf
from baselines.small_tasks import ITEMS, QUERY, USERS, built, embedded, tasks

from cmml_tf.baselines.conet import CrossConnectedNetwork
from cmml_tf.config.baselines import CoNetConfig
from cmml_tf.episodes.cross_domain import CrossDomainEpisode

SMALL = CoNetConfig(units=(5, 3), l1=0.01)


def crossed(order):
    """The small tasks with random source items, compared as `order` says."""
    rng = np.random.default_rng(4)
    episode = tasks(count=len(order))
    items = tf.constant(rng.integers(0, ITEMS, [len(order), QUERY]), tf.int32)
    return CrossDomainEpisode(*episode, items, tf.constant(order, tf.float32))


def scores_in_numpy(model, user, item, source_item):
    """Target and source scores of pairs, in float64, without the layer."""
    weights = {
        w.name.split(":")[0].removeprefix("network/"): w.numpy().astype(np.float64)
        for w in model.network.weights
    }
    target, source = embedded(model, user, item), embedded(model, user, source_item)
    for layer in (1, 2):
        shared = weights[f"transfer_{layer}"]
        new_target = target @ weights[f"target_{layer}/kernel"] + weights[f"target_{layer}/bias"]
        new_source = source @ weights[f"source_{layer}/kernel"] + weights[f"source_{layer}/bias"]
        target, source = (
            np.maximum(new_target + source @ shared, 0.0),
            np.maximum(new_source + target @ shared, 0.0),
        )
    return tuple(
        (hidden @ weights[f"{name}_output/kernel"] + weights[f"{name}_output/bias"])[:, 0]
        for name, hidden in (("target", target), ("source", source))
    )


def test_scores_and_loss_are_the_formula():
    model = built(SMALL)
    order = [[1, -1, 0, 1], [0, 0, 0, 0], [-1, -1, 1, 0]]
    episode = crossed(order)
    losses = []
    for row in range(3):
        target, source = scores_in_numpy(
            model, episode.query_user[row], episode.query_item[row], episode.source_item[row]
        )
        half = QUERY // 2
        loss = np.maximum(1 - target[:half] + target[half:], 0).mean()
        couples = [
            max(0.0, 1 - sign * (source[k] - source[half + k]))
            for k, sign in enumerate(order[row])
            if sign
        ]
        losses.append(loss + (np.mean(couples) if couples else 0.0))
    sparse = sum(np.abs(matrix).sum() for matrix in model.network.transfer)
    expected = np.mean(losses) + SMALL.l1 * sparse
    np.testing.assert_allclose(model.compute_loss(episode, training=True), expected, rtol=1e-4)


def test_a_query_is_scored_beside_its_users_source_item():
    model, episode = built(SMALL), tasks()
    items = np.arange(USERS + 1, dtype=np.int32) % ITEMS
    unknown = model(episode).numpy()
    model.set_source_items(items)
    scores = model(episode).numpy()
    for row in range(3):
        user, item = episode.query_user[row].numpy(), episode.query_item[row].numpy()
        np.testing.assert_allclose(
            scores[row], scores_in_numpy(model, user, item, items[user])[0], rtol=1e-4, atol=1e-5
        )
        nobody = np.full_like(user, ITEMS)  # the zero row
        np.testing.assert_allclose(
            unknown[row], scores_in_numpy(model, user, item, nobody)[0], rtol=1e-4, atol=1e-5
        )
    assert model.adapt(episode.support) == ()
    with pytest.raises(ValueError, match=r"`items` must have the shape \(21,\)\. Received"):
        model.set_source_items(items[:-1])


def test_training_reaches_both_networks_and_what_connects_them():
    model, episode = built(SMALL), crossed([[1, -1, 1, -1]] * 3)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(episode, training=True)
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        cancels = variable.name.endswith("output/bias:0")
        assert (np.abs(gradient).max() > 1e-6) != cancels, variable.name


def test_training_lowers_the_loss():
    model, episode = built(SMALL), crossed([[1, -1, 1, -1]] * 3)
    model.compile(optimizer=tf.keras.optimizers.legacy.Adam(0.01))
    data = tf.data.Dataset.from_tensors(episode).repeat()
    history = model.fit(data, steps_per_epoch=10, epochs=3, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]


def test_training_without_a_source_domain_is_refused():
    model = built(SMALL)
    with pytest.raises(ValueError, match=r"trains on `CrossDomainEpisode`s.*Received: Episode"):
        model.compute_loss(tasks(), training=True)
    assert np.isfinite(model.compute_loss(tasks()))


def test_network_is_made_again_from_its_config():
    layer = CrossConnectedNetwork([5, 3])
    again = CrossConnectedNetwork.from_config(layer.get_config())
    pairs, other = tf.ones([1, 2, 6]), tf.zeros([1, 2, 6])
    layer(pairs, other), again(pairs, other)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(pairs, other), again(pairs, other))
