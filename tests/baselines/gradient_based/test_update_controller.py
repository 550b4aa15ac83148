"""The update controller computes the LSTM's rule for every single weight."""

import numpy as np
import tensorflow as tf

from cmml_tf.baselines.gradient_based.update_controller import (
    INPUTS,
    UpdateController,
    log_and_sign,
)


def filled(units=4, seed=0):
    """A controller with random values in every weight."""
    controller = UpdateController(units)
    controller.build(None)
    rng = np.random.default_rng(seed)
    controller.set_weights([rng.normal(0, 0.7, w.shape) for w in controller.get_weights()])
    return controller


def sigmoid(values):
    return 1.0 / (1.0 + np.exp(-values))


def gates_of_one_weight(controller, inputs, hidden, cell):
    """The rule for one weight, in float64 and with the layer norm written out."""
    weights = {w.name.split(":")[0].split("/")[-1]: w.numpy() for w in controller.weights}
    read = np.concatenate([inputs, hidden])
    before = weights["kernel"].astype(np.float64) @ read + weights["bias"][:, 0]
    enter, keep, leave, candidate = np.split(before, 4)
    cell = sigmoid(keep) * cell + sigmoid(enter) * np.tanh(candidate)
    hidden = sigmoid(leave) * np.tanh(cell)
    normal = (hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-5)
    normal = weights["scale"][0] * normal + weights["shift"][:, 0]
    return sigmoid(weights["gate_kernel"] @ normal + weights["gate_bias"][:, 0]), hidden, cell


def test_each_weight_follows_the_rule():
    controller = filled()
    rng = np.random.default_rng(1)
    hidden, cell = (state.numpy() for state in controller.first_state(3))
    own = [(hidden[:, n].astype(np.float64), cell[:, n].astype(np.float64)) for n in range(3)]
    hidden, cell = controller.first_state(3)
    for _ in range(3):
        inputs = rng.normal(size=(INPUTS, 3)).astype(np.float32)
        gates, hidden, cell = controller(inputs, hidden, cell)
        for n in range(3):
            expected, *own[n] = gates_of_one_weight(controller, inputs[:, n], *own[n])
            np.testing.assert_allclose(gates[:, n], expected, rtol=1e-4)
            np.testing.assert_allclose(hidden[:, n], own[n][0], rtol=1e-4, atol=1e-6)


def test_magnitude_and_sign_of_any_number():
    values = tf.constant([np.e, -np.exp(-5.0), np.exp(-11.0), 0.0], tf.float32)
    logarithm, sign = log_and_sign(values)
    np.testing.assert_allclose(logarithm, [0.1, -0.5, -1.0, -1.0], rtol=1e-5)
    np.testing.assert_allclose(sign, [1.0, -1.0, np.exp(-1.0), 0.0], rtol=1e-5)


def test_a_new_controller_keeps_nearly_all_of_a_weight():
    controller = UpdateController(4)
    controller.build(None)
    kept = controller(tf.zeros([INPUTS, 2]), *controller.first_state(2))[0][1]
    assert np.all(kept > 0.8)


def test_controller_is_made_again_from_its_config():
    assert UpdateController.from_config(UpdateController(7).get_config()).units == 7
