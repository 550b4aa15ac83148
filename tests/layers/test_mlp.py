"""Fully connected stack: the recipe, its equation and its initial values."""

import numpy as np
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal
from reference import numpy_reference

from cmml_tf.layers.mlp import MLP, dense


class TestMLP(LayerRecipe):
    weights = 6
    output_shapes = ([5, 4],)
    refused = (
        ({"units": []}, r"`units` must be one or more positive integers\. Received: units=\[\]\."),
        ({"units": [4, 0]}, r"`units` must be .* Received: units=\[4, 0\]\."),
    )

    def make(self, units=(8, 7, 4)):
        return MLP(units)

    def inputs(self):
        return [normal(3, 5, 6)]

    def build(self, layer):
        layer.build([None, None, 6])

    def test_equals_the_reference(self):
        layer = self.built()
        names = [f"mlp/{i}/{kind}" for i in range(3) for kind in ("kernel", "bias")]
        weights = dict(zip(names, layer.get_weights(), strict=True))
        (inputs,) = self.inputs()
        np.testing.assert_allclose(
            layer(inputs), numpy_reference.mlp(inputs, weights, "mlp"), atol=1e-5
        )


def test_dense_layers_start_uniform_within_the_root_of_the_fan_in():
    layer = dense(200, bias=0.1)
    layer.build([None, 25])
    kernel, bias = layer.get_weights()
    assert np.abs(kernel).max() <= 0.2
    # Uniform in +-a has the standard deviation a / sqrt(3).
    np.testing.assert_allclose(kernel.std(), 0.2 / np.sqrt(3), rtol=0.05)
    np.testing.assert_array_equal(bias, np.full(200, 0.1, np.float32))


def test_last_layer_is_linear():
    layer = MLP([3])
    layer.build([None, 2])
    layer.set_weights([-np.ones([2, 3], "f"), np.zeros(3, "f")])
    np.testing.assert_array_equal(layer(tf.ones([1, 2])), [[-2.0, -2.0, -2.0]])


def test_inputs_in_parts_that_broadcast_give_the_same():
    layer, normal = MLP([8, 4]), np.random.default_rng(0).normal
    parts = [normal(size=[2, *axes]) for axes in ([3, 1, 5], [1, 4, 6], [3, 4, 7])]
    parts = [tf.constant(part, tf.float32) for part in parts]
    whole = tf.concat([tf.broadcast_to(part, [2, 3, 4, part.shape[-1]]) for part in parts], -1)
    layer.build(whole.shape)
    layer.dense_layers[0].bias.assign(tf.constant(normal(size=8), tf.float32))
    np.testing.assert_allclose(layer.of_parts(parts), layer(whole), atol=1e-5)
