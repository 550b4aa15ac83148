"""s2Meta: the inner loop against a loop over tasks and weights, its stops, and what it trains."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from baselines.small_tasks import built, embedded, one_task, tasks
from test_update_controller import gates_of_one_weight

from cmml_tf.baselines.gradient_based.inner_batch import InnerBatches
from cmml_tf.baselines.gradient_based.update_controller import log_and_sign
from cmml_tf.config.baselines import BASELINES, S2MetaConfig

SMALL = S2MetaConfig(
    units=(4, 3), min_steps=2, max_steps=4, controller_units=3, stop_units=3, batch_pairs=5
)


def always(config, steps):
    """The configuration with a fixed number of steps."""
    return replace(config, min_steps=steps, max_steps=steps)


def scores_in_numpy(pairs, weights):
    """float64 [N, d] -> [N]."""
    *hidden, (kernel, bias) = zip(weights[::2], weights[1::2], strict=True)
    for hidden_kernel, hidden_bias in hidden:
        pairs = np.maximum(pairs @ hidden_kernel + hidden_bias, 0.0)
    return (pairs @ kernel + bias)[:, 0]


def hinge_gradient(positive, negative, weights):
    """Loss and gradient of the mean hinge loss by backpropagation written out in NumPy."""
    count = len(positive)
    pairs = np.concatenate([positive, negative])
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    inputs = [pairs]
    for kernel, bias in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ kernel + bias, 0.0))
    scores = (inputs[-1] @ layers[-1][0] + layers[-1][1])[:, 0]
    margins = 1.0 - scores[:count] + scores[count:]
    inside = (margins > 0) / count
    upstream = np.concatenate([-inside, inside])[:, None]
    gradients = []
    for (kernel, _), given in zip(layers[::-1], inputs[::-1], strict=True):
        gradients = [given.T @ upstream, upstream.sum(axis=0), *gradients]
        upstream = (upstream @ kernel.T) * (given > 0)
    return np.maximum(margins, 0.0).mean(), gradients


def adapted_in_numpy(model, support, steps):
    """The inner loop of one task, weight by weight, with the model's own draws."""
    batches = InnerBatches(support, model.config.batch_pairs)
    key = tf.constant([model.config.seed, 0], tf.int64)
    weights = [w.numpy().astype(np.float64) for w in model.network.trainable_variables]
    states = [
        {place: tuple(s.numpy()[:, 0] for s in c.first_state(1)) for place in np.ndindex(w.shape)}
        for c, w in zip(model.update_controllers, weights, strict=True)
    ]
    for step in range(steps):
        batch = batches.draw(tf.random.experimental.stateless_fold_in(key, step))
        user, positive, negative = (part[0].numpy() for part in batch)
        loss, gradients = hinge_gradient(
            embedded(model, user, positive), embedded(model, user, negative), weights
        )
        for controller, weight, gradient, state in zip(
            model.update_controllers, weights, gradients, states, strict=True
        ):
            for place in np.ndindex(weight.shape):
                g = np.clip(gradient[place], -1.0, 1.0)
                read = tf.constant([g, weight[place], loss], tf.float32)
                logarithm, sign = (part.numpy() for part in log_and_sign(read))
                inputs = [logarithm[0], sign[0], logarithm[1], sign[1], logarithm[2]]
                gates, *new = gates_of_one_weight(controller, np.array(inputs), *state[place])
                state[place] = tuple(new)
                weight[place] = gates[1] * weight[place] - gates[0] * g
    return weights


def test_a_batch_of_tasks_is_adapted_as_the_paper_adapts_each():
    model, episode = built(always(SMALL, 3)), tasks()
    scores = model(episode).numpy()
    weights = model.adapt(episode.support)
    for row in range(3):
        task = one_task(episode, row)
        expected = adapted_in_numpy(model, task.support, 3)
        for ours, theirs in zip(weights, expected, strict=True):
            np.testing.assert_allclose(ours[row], theirs, rtol=2e-3, atol=2e-4)
        pairs = embedded(model, task.query_user[0], task.query_item[0])
        np.testing.assert_allclose(scores[row], scores_in_numpy(pairs, expected), atol=2e-3)


def test_one_graph_of_any_sizes_and_tasks_that_do_not_see_each_other():
    model, episode = built(replace(SMALL, units=(3,))), tasks(lengths=[18, 9, 18])
    together = tf.function(model, reduce_retracing=True, autograph=False)(episode)
    for row in range(3):
        alone = model(one_task(episode, row))
        np.testing.assert_allclose(together[row : row + 1], alone, rtol=1e-3, atol=1e-4)


def stop_bias(model, value):
    """Makes stopping all but certain, or all but impossible."""
    kernel, bias = model.stop_controller.output_layer.weights
    kernel.assign(tf.zeros_like(kernel))
    bias.assign([value])


@pytest.mark.parametrize(("bias", "steps"), [(30.0, 2), (-30.0, 4)])
def test_the_stop_controller_ends_the_loop_between_its_limits(bias, steps):
    model, other, episode = built(SMALL), built(always(SMALL, steps)), tasks()
    stop_bias(model, bias)
    for ours, theirs in zip(
        model.adapt(episode.support), other.adapt(episode.support), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def loss_and_gradients(model, episode):
    model.compile(optimizer=tf.keras.optimizers.legacy.SGD(0.0))
    with tf.GradientTape() as tape:
        loss = model.compute_loss(episode, training=True)
    return loss, tape.gradient(loss, model.trainable_variables)


def test_training_reaches_initial_weights_and_both_controllers():
    # In the batches that seed 0 draws, every unit of hidden_2 is on, or off, for both items of
    # each pair: its bias cancels out, and whether a rounding error is left depends on the machine.
    model, episode = built(replace(SMALL, seed=1)), tasks()
    stop_bias(model, -3.0)
    model.stop_controller.output_layer.weights[0].assign([[0.1], [-0.2], [0.3]])
    loss, gradients = loss_and_gradients(model, episode)
    assert np.isfinite(loss)
    # The last bias cancels out between a positive and its negative, so nothing trains it.
    untrained = [model.network.weights[-1], *model.update_controllers[-1].weights]
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        idle = any(variable is other for other in untrained)
        assert (np.abs(gradient).max() > 0) != idle, variable.name


def test_reinforce_credits_going_on_with_how_far_the_loss_fell():
    model, episode = built(SMALL), tasks()
    stop_bias(model, -2.0)
    model.compile(optimizer=tf.keras.optimizers.legacy.SGD(0.0))
    losses = {}
    for steps in (2, 3, 4):
        config = model.config
        model.config = always(config, steps)
        weights = model._inner_loop(episode.support, None, training=True).weights
        model.config = config
        losses[steps] = model._query_losses(episode, weights).numpy()
    # At steps 2 and 3 the loop could have ended; with this probability it did not.
    model_p = 1.0 / (1.0 + np.exp(2.0))
    expected = np.mean(model_p * (losses[2] + losses[3] - 2 * losses[4]))
    with tf.GradientTape() as tape:
        loss = model.compute_loss(episode, training=True)
    gradient = tape.gradient(loss, model.stop_controller.output_layer.bias)
    np.testing.assert_allclose(loss, losses[4].mean(), rtol=1e-4)
    np.testing.assert_allclose(gradient, [expected], rtol=1e-3, atol=1e-6)


def test_second_order_is_the_same_model_with_another_gradient():
    first, second = built(always(SMALL, 2)), built(replace(always(SMALL, 2), second_order=True))
    episode = tasks()
    loss, gradients = loss_and_gradients(first, episode)
    other_loss, other = loss_and_gradients(second, episode)
    np.testing.assert_allclose(loss, other_loss, rtol=1e-5)
    assert not np.allclose(gradients[0], other[0], rtol=1e-3)


def test_seed_and_training_step_choose_the_batches():
    model, episode = built(SMALL), tasks()
    scores = model(episode).numpy()
    np.testing.assert_array_equal(scores, model(episode))
    assert not np.array_equal(scores, built(replace(SMALL, seed=1))(episode))
    model.compile(optimizer=tf.keras.optimizers.legacy.SGD(0.1))
    before = model.compute_loss(episode, training=True)
    np.testing.assert_array_equal(before, model.compute_loss(episode, training=True))
    model.optimizer.iterations.assign_add(1)
    assert before != model.compute_loss(episode, training=True)


def test_a_task_without_positives_keeps_the_initial_weights():
    model = built(SMALL)
    weights = model.adapt(tasks(lengths=[0, 18, 18]).support)
    for weight, first in zip(weights, model.network.trainable_variables, strict=True):
        np.testing.assert_array_equal(weight[0], first)
        assert np.isfinite(weight).all()


def test_training_lowers_the_loss_of_adapted_tasks():
    # In a graph, as `fit` trains it; few tensors, since tracing their gradients takes long.
    model, episode = built(replace(SMALL, units=(3,))), tasks(count=4)
    model.compile(optimizer=tf.keras.optimizers.legacy.Adam(0.02))
    data = tf.data.Dataset.from_tensors(episode).repeat()
    history = model.fit(data, steps_per_epoch=15, epochs=3, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]


def test_presets_are_the_papers():
    assert BASELINES["s2meta"].units == (64, 32, 16)
    assert BASELINES["s2meta-taobao"].units == (64, 64, 64)
    assert (BASELINES["s2meta"].min_steps, BASELINES["s2meta"].max_steps) == (4, 20)
    with pytest.raises(ValueError, match=r"`min_steps` must be at most max_steps\. Received"):
        S2MetaConfig(min_steps=9, max_steps=3)
