"""Soft modularisation (equations 12 and 13): the recipe, the reference, the routes."""

import numpy as np
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal
from reference import numpy_reference

from cmml_tf.layers.backbones.soft_modules import SoftModularBackbone


def reference_weights(layer):
    weights = {}
    for index, (kernel, bias) in enumerate(zip(layer.kernels, layer.biases, strict=True)):
        weights[f"backbone/hidden/{index}/kernel"] = kernel.numpy()
        weights[f"backbone/hidden/{index}/bias"] = bias.numpy()
    network = layer.route_network
    named = {"backbone/output": layer.output_layer}
    for index, (hyper, head) in enumerate(zip(network.chain, network.heads, strict=True)):
        named |= {f"modulation/hyper/{index}": hyper, f"modulation/head/{index}": head}
    for name, part in named.items():
        weights[f"{name}/kernel"], weights[f"{name}/bias"] = part.get_weights()
    return weights


class TestSoftModules(LayerRecipe):
    weights = 20
    output_shapes = ([5],)
    refused = (
        ({"units": []}, r"`units` must be one or more positive integers\."),
        ({"modules": 0}, r"`modules` must be a positive integer\. Received: modules=0"),
        (
            {"hyper_units": -2},
            r"`hyper_units` must be a positive integer\. Received: hyper_units=-2\.",
        ),
    )

    def make(self, units=(8, 7, 6), modules=2, hyper_units=9):
        return SoftModularBackbone(units, modules, hyper_units)

    def inputs(self):
        return [normal(3, 5, 6), normal(3, 5, 4, seed=4)]

    def build(self, layer):
        layer.build([None, None, 6], [None, None, 4])

    def test_equals_the_reference(self):
        layer = self.built()
        pairs, hybrid = self.inputs()
        weights = reference_weights(layer)
        expected = [
            numpy_reference.soft_scores(e, c, weights) for e, c in zip(pairs, hybrid, strict=True)
        ]
        np.testing.assert_allclose(
            layer(tf.constant(pairs), tf.constant(hybrid)), expected, rtol=1e-5, atol=1e-5
        )

    def test_routes_equal_the_reference_and_each_column_sums_to_1(self):
        layer = self.built()
        _, hybrid = self.inputs()
        routes = layer.modulation(tf.constant(hybrid))
        assert {name: route.shape.as_list() for name, route in routes.items()} == {
            "route_1": [3, 5, 2, 2],
            "route_2": [3, 5, 2, 2],
            "route_3": [3, 5, 2, 1],
        }
        expected = numpy_reference.soft_routes(hybrid[1], reference_weights(layer))
        for route, one in zip(routes.values(), expected, strict=True):
            np.testing.assert_allclose(route[1], one, atol=1e-6)
            np.testing.assert_allclose(
                tf.reduce_sum(route, axis=2), np.ones(route.shape[:2] + route.shape[3:]), atol=1e-6
            )

    def test_one_context_serves_all_pairs_of_a_task(self):
        layer = self.built()
        pairs, hybrid = self.inputs()
        one = tf.constant(hybrid[:, :1])
        np.testing.assert_allclose(
            layer(tf.constant(pairs), one),
            layer(tf.constant(pairs), tf.repeat(one, 5, axis=1)),
            atol=1e-5,
        )

    def test_modules_start_within_the_root_of_their_own_fan_in(self):
        layer = self.make(units=(40, 40), modules=3)
        self.build(layer)
        for kernel, inputs in zip(layer.kernels, (6, 40), strict=True):
            values = kernel.numpy()
            bound = inputs**-0.5
            assert np.abs(values).max() <= bound
            np.testing.assert_allclose(values.std(), bound / np.sqrt(3), rtol=0.1)
            assert not np.array_equal(values[0], values[1])


def test_one_layer_is_the_final_mix_alone():
    layer = SoftModularBackbone([8], modules=2)
    layer.build([None, None, 6], [None, None, 4])
    hybrid = tf.constant(normal(3, 5, 4))
    assert layer(tf.constant(normal(3, 5, 6)), hybrid).shape.as_list() == [3, 5]
    assert [route.shape.as_list() for route in layer.routes(hybrid)] == [[3, 5, 2, 1]]
