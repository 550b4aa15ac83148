"""Noise that another process repeats: a function of seed, step and use, and nothing else."""

import numpy as np
import pytest
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal

from cmml_tf.layers.step_noise import StepDropout, StepNoise, training_step


class TestStepDropout(LayerRecipe):
    weights = 0
    output_shapes = ([5],)
    refused = (
        ({"rate": 1.0}, "`rate` must be at least 0 and below 1. Received: rate=1.0."),
        ({"seed": -1}, "`seed` must be zero or a positive integer. Received: seed=-1."),
    )
    check_gradient_reaches_every_weight = None  # It has none.

    def make(self, rate=0.4, seed=1):
        return StepDropout(rate, seed)

    def inputs(self):
        return [normal(3, 5)]

    def build(self, layer):
        layer.build([None, 5])


class TestStepNoise(LayerRecipe):
    weights = 0
    output_shapes = ([5],)
    refused = (
        (
            {"deviation": -0.1},
            "`deviation` must be zero or a positive number. Received: deviation=-0.1.",
        ),
        ({"seed": -1}, "`seed` must be zero or a positive integer. Received: seed=-1."),
    )
    check_gradient_reaches_every_weight = None  # It has none.

    def make(self, deviation=0.4, seed=1):
        return StepNoise(deviation, columns=3, use=1, seed=seed)

    def inputs(self):
        return [normal(3, 5)]

    def build(self, layer):
        layer.build([None, 5])


ONES = tf.ones([4, 50])


def dropped(seed=1, step=0, use=0, rate=0.4, inputs=ONES):
    with training_step(step):
        return StepDropout(rate, seed)(inputs, use=use, training=True).numpy()


def test_equal_seed_step_and_use_leave_out_the_same_whatever_was_drawn_before():
    first = dropped(step=3)
    tf.random.uniform([7])
    dropped(step=4)
    np.testing.assert_array_equal(dropped(step=tf.Variable(3, dtype=tf.int64)), first)
    for other in (dropped(seed=2, step=3), dropped(step=4), dropped(step=3, use=1)):
        assert (other != first).any()


def test_a_graph_reads_the_step_anew_each_time():
    step, layer = tf.Variable(0, dtype=tf.int64), StepDropout(0.4, seed=1)

    @tf.function
    def draw():
        with training_step(step):
            return layer(ONES, training=True)

    for number in (0, 1, 0):
        step.assign(number)
        np.testing.assert_array_equal(draw(), dropped(step=number))


def test_a_share_is_zero_and_the_mean_stays():
    values = dropped(rate=0.25, inputs=tf.ones([200, 500]))
    assert {*np.unique(values)} == {0.0, np.float32(4 / 3)}
    assert values.mean() == pytest.approx(1.0, abs=0.01)


def test_nothing_is_left_out_outside_of_training():
    layer = StepDropout(0.4)
    np.testing.assert_array_equal(layer(ONES), ONES)
    np.testing.assert_array_equal(layer(ONES, training=False), ONES)
    np.testing.assert_array_equal(dropped(rate=0.0), ONES)
    assert layer.weights == []


def noisy(seed=1, step=0, use=0, deviation=0.3, inputs=ONES):
    with training_step(step):
        return StepNoise(deviation, 40, use, seed)(inputs, training=True).numpy()


def test_equal_seed_step_and_use_add_the_same_noise():
    first = noisy(step=3)
    tf.random.normal([7])
    np.testing.assert_array_equal(noisy(step=tf.Variable(3, dtype=tf.int64)), first)
    for other in (noisy(seed=2, step=3), noisy(step=4), noisy(step=3, use=1)):
        assert (other != first).any()


def test_noise_is_normal_in_the_leading_columns_and_nowhere_else():
    moved = noisy(inputs=tf.ones([2000, 50])) - 1
    np.testing.assert_array_equal(moved[:, 40:], 0)
    assert moved[:, :40].mean() == pytest.approx(0, abs=0.01)
    assert moved[:, :40].std() == pytest.approx(0.3, rel=0.02)
    assert np.mean(np.abs(moved[:, :40]) < 0.3) == pytest.approx(0.683, abs=0.01)


def test_no_noise_outside_of_training():
    layer = StepNoise(0.4, columns=2)
    np.testing.assert_array_equal(layer(ONES), ONES)
    np.testing.assert_array_equal(layer(ONES, training=False), ONES)
    np.testing.assert_array_equal(noisy(deviation=0.0), ONES)
