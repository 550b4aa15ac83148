"""The backbone without modulation: the recipe and the reference."""

import numpy as np
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal
from reference import numpy_reference

from cmml_tf.layers.backbones.backbone import Backbone


class TestBackbone(LayerRecipe):
    weights = 6
    output_shapes = ([5],)
    refused = (
        ({"units": []}, r"`units` must be one or more positive integers\. Received: units=\[\]\."),
        ({"units": [8, -1]}, r"`units` must be .* Received: units=\[8, -1\]\."),
    )

    def make(self, units=(8, 7)):
        return Backbone(units, bias_initial_value=0.1)

    def inputs(self):
        return [normal(3, 5, 6)]

    def build(self, layer):
        layer.build([None, None, 6])

    def test_equals_the_reference(self):
        layer = self.built()
        values = iter(layer.get_weights())
        weights = {
            f"backbone/{name}/{kind}": next(values)
            for name in ("hidden/0", "hidden/1", "output")
            for kind in ("kernel", "bias")
        }
        (pairs,) = self.inputs()
        hidden = numpy_reference.plain_backbone(pairs, weights)
        expected = numpy_reference.dense(hidden, weights, "backbone/output")[..., 0]
        np.testing.assert_allclose(layer(tf.constant(pairs)), expected, atol=1e-5)

    def test_biases_start_where_asked(self):
        layer = self.make()
        self.build(layer)
        for bias in layer.get_weights()[1::2]:
            np.testing.assert_array_equal(bias, np.full(bias.shape, 0.1, np.float32))

    def test_context_changes_nothing(self):
        layer = self.built()
        (pairs,) = self.inputs()
        np.testing.assert_array_equal(layer(pairs), layer(pairs, tf.ones([3, 5, 9])))
        assert layer.modulation(tf.ones([3, 5, 9])) == {}
