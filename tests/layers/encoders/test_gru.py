"""The recurrence equals Keras' GRU, and its own gradient equals autodiff."""

import numpy as np
import pytest
import tensorflow as tf

from cmml_tf.layers.encoders.gru import gru_last_state, gru_mean_state
from cmml_tf.layers.encoders.gru_gradient import trainable_gru_last_state, trainable_gru_mean_state

STEPS = [1, 5, 31, 32, 33, 64, 100]
BATCH, INPUTS, UNITS = 4, 6, 5
SIGNATURE = [
    tf.TensorSpec([None, None, INPUTS]),
    tf.TensorSpec([None, None], tf.bool),
    tf.TensorSpec([INPUTS, 3 * UNITS]),
    tf.TensorSpec([UNITS, 3 * UNITS]),
    tf.TensorSpec([2, 3 * UNITS]),
]
last_state = tf.function(gru_last_state, input_signature=SIGNATURE)
trainable_last_state = tf.function(trainable_gru_last_state, input_signature=SIGNATURE)


def arguments(steps, seed=0):
    """Random inputs, a mask of random lengths (one is 0, one is S), random weights."""
    rng = np.random.default_rng([seed, steps])
    lengths = np.array([0, steps, *rng.integers(0, steps + 1, BATCH - 2)])
    shapes = [(BATCH, steps, INPUTS), (INPUTS, 3 * UNITS), (UNITS, 3 * UNITS), (2, 3 * UNITS)]
    inputs, *weights = (tf.constant(rng.normal(0, 0.5, s), tf.float32) for s in shapes)
    return inputs, tf.sequence_mask(lengths, steps), *weights


def upstream_of(batch):
    return tf.constant(np.random.default_rng(1).normal(size=[batch, UNITS]), tf.float32)


def gradients_of(given, function=trainable_gru_last_state):
    """Gradients for inputs, kernel, recurrent_kernel and bias."""
    differentiable = [given[0], *given[2:]]
    with tf.GradientTape() as tape:
        tape.watch(differentiable)
        state = function(*given)
    return tape.gradient(state, differentiable, output_gradients=upstream_of(given[0].shape[0]))


@tf.function(input_signature=[*SIGNATURE, tf.TensorSpec([None, UNITS])])
def gradients_in_a_graph(inputs, mask, kernel, recurrent_kernel, bias, upstream):
    """One graph for all B and S, as training traces it."""
    differentiable = [inputs, kernel, recurrent_kernel, bias]
    with tf.GradientTape() as tape:
        tape.watch(differentiable)
        state = trainable_gru_last_state(inputs, mask, kernel, recurrent_kernel, bias)
    return tape.gradient(state, differentiable, output_gradients=upstream)


def keras_state(inputs, mask, *weights):
    layer = tf.keras.layers.GRU(UNITS, reset_after=True)
    layer.build(inputs.shape)
    layer.set_weights([weight.numpy() for weight in weights])
    return layer(inputs, mask=mask)


@pytest.mark.parametrize("steps", STEPS)
def test_equals_keras_gru_with_a_mask(steps):
    given = arguments(steps)
    expected = keras_state(*given)
    np.testing.assert_allclose(last_state(*given), expected, atol=1e-6)
    np.testing.assert_allclose(trainable_last_state(*given), expected, atol=1e-6)


@pytest.mark.parametrize("steps", STEPS)
def test_own_gradient_equals_autodiff(steps):
    given = arguments(steps)
    ours = gradients_in_a_graph(*given, upstream_of(BATCH))
    autodiff = gradients_of(given, gru_last_state)
    names = ("inputs", "kernel", "recurrent_kernel", "bias")
    for name, one, other in zip(names, ours, autodiff, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5, err_msg=name)
    assert np.abs(ours[0]).max() > 0


def test_xla_compiles_the_gradient():
    given = arguments(33)
    compile_with = {"autograph": False, "jit_compile": True}
    compiled = tf.function(lambda *given: gradients_of(given), **compile_with)(*given)
    for one, other in zip(compiled, gradients_of(given), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_own_gradient_equals_keras():
    given = arguments(33)
    inputs, mask, *weights = given
    layer = tf.keras.layers.GRU(UNITS, reset_after=True)
    layer.build(inputs.shape)
    layer.set_weights([weight.numpy() for weight in weights])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(layer(inputs, mask=mask) * upstream_of(BATCH))
    expected = tape.gradient(loss, [inputs, *layer.trainable_variables])
    for one, other in zip(gradients_of(given), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_eager_and_graph_agree():
    given = arguments(33)
    np.testing.assert_allclose(gru_last_state(*given), last_state(*given), atol=1e-6)
    np.testing.assert_allclose(
        trainable_gru_last_state(*given), trainable_last_state(*given), atol=1e-6
    )
    in_a_graph = gradients_in_a_graph(*given, upstream_of(BATCH))
    for one, other in zip(gradients_of(given), in_a_graph, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_mask_may_have_holes():
    inputs, _, *weights = arguments(40)
    mask = np.random.default_rng(2).random([BATCH, 40]) < 0.5
    expected = [
        last_state(row[None][:, valid], tf.ones([1, valid.sum()], tf.bool), *weights)[0]
        for row, valid in zip(inputs.numpy(), mask, strict=True)
    ]
    np.testing.assert_allclose(last_state(inputs, mask, *weights), expected, atol=1e-6)


def test_no_valid_step_gives_the_initial_state_and_no_gradient():
    inputs, mask, *weights = arguments(33)
    nothing = tf.zeros_like(mask)
    np.testing.assert_array_equal(last_state(inputs, nothing, *weights), np.zeros([BATCH, UNITS]))
    for gradient in gradients_of((inputs, nothing, *weights)):
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))


@pytest.mark.parametrize("size", [1.0, 100.0])
def test_finite_padding_changes_neither_state_nor_gradient(size):
    inputs, mask, *weights = arguments(33)
    noise = size * np.random.default_rng(3).normal(size=inputs.shape).astype(np.float32)
    padded = tf.where(mask[:, :, None], inputs, noise)
    clean = tf.where(mask[:, :, None], inputs, 0.0)
    np.testing.assert_array_equal(
        last_state(padded, mask, *weights), last_state(clean, mask, *weights)
    )
    for one, other in zip(
        gradients_of((padded, mask, *weights)),
        gradients_of((clean, mask, *weights)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_gradient_of_padded_steps_is_zero():
    inputs, mask, *weights = arguments(33)
    grad_inputs = gradients_of((inputs, mask, *weights))[0].numpy()
    np.testing.assert_array_equal(grad_inputs[~mask.numpy()], 0.0)
    assert (np.abs(grad_inputs[mask.numpy()]).max(axis=-1) > 0).all()


def test_nan_in_padding_is_not_stopped_here():
    """A gate multiplies, and 0 * NaN is NaN: who calls must put finite values behind the mask.

    The model does (its test is in models/test_cmml.py).
    """
    inputs, mask, *weights = arguments(5)
    padded = tf.where(mask[:, :, None], inputs, np.nan)
    has_padding = ~mask.numpy().all(axis=1)
    leaked = np.isnan(last_state(padded, mask, *weights)).all(axis=1)
    np.testing.assert_array_equal(leaked, has_padding)


# The mean of the states

mean_state = tf.function(gru_mean_state, input_signature=SIGNATURE)
trainable_mean_state = tf.function(trainable_gru_mean_state, input_signature=SIGNATURE)


def keras_mean(inputs, mask, *weights):
    layer = tf.keras.layers.GRU(UNITS, reset_after=True, return_sequences=True)
    layer.build(inputs.shape)
    layer.set_weights([weight.numpy() for weight in weights])
    valid = tf.cast(mask, tf.float32)[:, :, None]
    total = tf.reduce_sum(layer(inputs, mask=mask) * valid, axis=1)
    return tf.math.divide_no_nan(total, tf.reduce_sum(valid, axis=1)), layer


@pytest.mark.parametrize("steps", STEPS)
def test_mean_equals_keras_gru_with_a_mask(steps):
    given = arguments(steps)
    expected, _ = keras_mean(*given)
    np.testing.assert_allclose(mean_state(*given), expected, atol=1e-6)
    np.testing.assert_allclose(trainable_mean_state(*given), expected, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 33, 64])
def test_gradient_of_the_mean_equals_keras(steps):
    given = arguments(steps)
    inputs = given[0]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        mean, layer = keras_mean(*given)
        loss = tf.reduce_sum(mean * upstream_of(BATCH))
    expected = tape.gradient(loss, [inputs, *layer.trainable_variables])
    for one, other in zip(gradients_of(given, trainable_mean_state), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert np.abs(expected[0]).max() > 0


def test_mean_of_one_task_equals_its_row_of_a_batch():
    inputs, mask, *weights = arguments(40)
    mask = tf.constant(np.random.default_rng(2).random([BATCH, 40]) < 0.5)
    whole = mean_state(inputs, mask, *weights)
    for row in range(BATCH):
        one = slice(row, row + 1)
        alone = tf.boolean_mask(inputs[row], mask[row])[None]
        everything = tf.ones(alone.shape[:2], tf.bool)
        np.testing.assert_allclose(mean_state(alone, everything, *weights), whole[one], atol=1e-6)


def test_padding_changes_neither_the_mean_nor_its_gradient():
    inputs, mask, *weights = arguments(33)
    padded = tf.where(mask[:, :, None], inputs, 7.0)
    np.testing.assert_array_equal(
        mean_state(padded, mask, *weights), mean_state(inputs, mask, *weights)
    )
    changed = gradients_of((padded, mask, *weights), trainable_mean_state)
    for one, other in zip(
        changed, gradients_of((inputs, mask, *weights), trainable_mean_state), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_mean_of_no_valid_step_is_zero_and_has_no_gradient():
    inputs, mask, *weights = arguments(33)
    nothing = tf.zeros_like(mask)
    np.testing.assert_array_equal(mean_state(inputs, nothing, *weights), np.zeros([BATCH, UNITS]))
    for gradient in gradients_of((inputs, nothing, *weights), trainable_mean_state):
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))
