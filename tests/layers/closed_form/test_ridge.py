"""The ridge solve: exact at any number of pairs, also where single precision fails."""

import numpy as np
import pytest
import tensorflow as tf

from cmml_tf.layers.closed_form.ridge import solve_ridge

FEATURES = 65


def problem(size, distinct=None, seed=0):
    """Two tasks of `size` pairs, of which only `distinct` differ; float32 values."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, size, FEATURES))
    if distinct is not None:
        x = x[:, np.arange(size) % distinct]
    target = rng.choice([1.0, -0.5], (2, size))
    weight = rng.choice([0.0, 1.0, 2.0], (2, size))
    return [array.astype(np.float32) for array in (x, target, weight)]


def exact(x, target, weight, penalty):
    x, target, weight = (array.astype(np.float64) for array in (x, target, weight))
    gram = np.einsum("bs,bsf,bsg->bfg", weight, x, x) + penalty * np.eye(FEATURES)
    moment = np.einsum("bs,bsf,bs->bf", weight, x, target)
    return np.stack([np.linalg.solve(a, b) for a, b in zip(gram, moment, strict=True)])


@pytest.mark.parametrize("penalty", [0.1, 10.0])
@pytest.mark.parametrize(
    ("size", "distinct"), [(0, None), (1, None), (40, None), (3000, None), (3000, 1), (3000, 5)]
)
def test_equals_a_solution_in_double_precision(size, distinct, penalty):
    x, target, weight = problem(size, distinct)
    result = solve_ridge(*map(tf.constant, (x, target, weight)), tf.constant(penalty))
    expected = exact(x, target, weight, np.float32(penalty))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_pairs_without_weight_change_nothing():
    x, target, weight = problem(12)
    weight[:, 7:] = 0
    result = solve_ridge(x, target, weight, tf.constant(1.0))
    shorter = solve_ridge(x[:, :7], target[:, :7], weight[:, :7], tf.constant(1.0))
    np.testing.assert_allclose(result, shorter, atol=1e-6)
    nothing = solve_ridge(x, target, tf.zeros_like(weight), tf.constant(1.0))
    np.testing.assert_array_equal(nothing, np.zeros((2, FEATURES)))


def test_gradient_equals_differences():
    x, target, weight = (tf.constant(array[:1, :9, ...]) for array in problem(9))
    penalty, step = tf.constant(2.0), 1e-2

    def value(penalty, shift):
        return tf.reduce_sum(solve_ridge(x + shift, target, weight, penalty) ** 2)

    shift = tf.constant(0.0)
    with tf.GradientTape() as tape:
        tape.watch([penalty, shift])
        result = value(penalty, shift)
    gradients = tape.gradient(result, [penalty, shift])
    numeric = (
        (value(penalty + step, shift) - value(penalty - step, shift)) / (2 * step),
        (value(penalty, shift + step) - value(penalty, shift - step)) / (2 * step),
    )
    np.testing.assert_allclose(gradients, numeric, rtol=1e-2, atol=1e-5)
