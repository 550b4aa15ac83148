"""The averaged weights are what is evaluated and kept, and the training goes on with its own."""

import numpy as np
import tensorflow as tf

from cmml_tf.training.weight_average import WeightAverage


def _model(value: float) -> tf.keras.Model:
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, use_bias=False)])
    model.build([None, 1])
    model.trainable_variables[0].assign([[value]])
    return model


def test_average_follows_the_weights_with_a_growing_momentum():
    model = _model(1.0)
    average = WeightAverage(model, momentum=0.5)
    expected = 1.0
    for step, value in enumerate([3.0, -2.0, 5.0, 4.0, 0.0, 7.0, 1.0, 2.0, 6.0, 9.0], start=1):
        model.trainable_variables[0].assign([[value]])
        average.update()
        momentum = min(0.5, (1 + step) / (10 + step))
        expected = momentum * expected + (1 - momentum) * value
    with average.applied():
        np.testing.assert_allclose(model.trainable_variables[0].numpy(), [[expected]], rtol=1e-6)
    assert model.trainable_variables[0].numpy() == [[9.0]]


def test_own_weights_come_back_when_the_evaluation_fails():
    model = _model(1.0)
    average = WeightAverage(model, momentum=0.9)
    model.trainable_variables[0].assign([[8.0]])
    try:
        with average.applied():
            raise ArithmeticError
    except ArithmeticError:
        pass
    assert model.trainable_variables[0].numpy() == [[8.0]]
