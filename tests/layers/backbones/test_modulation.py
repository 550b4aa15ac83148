"""Modulated backbones (equations 9 to 11): the recipe, the reference, the named modulation."""

import numpy as np
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal
from reference import beyond_the_paper, numpy_reference

from cmml_tf.config import ModelConfig
from cmml_tf.layers.backbones.modulation import (
    FilmBackbone,
    HyperNetwork,
    LinearBackbone,
    RatingLinearBackbone,
    SigmoidBackbone,
)


def dense_weights(target, layer):
    kernel, bias = layer.get_weights()
    return {f"{target}/kernel": kernel, f"{target}/bias": bias}


def reference_weights(layer):
    weights = {}
    for index, hidden in enumerate(layer.hidden_layers):
        weights |= dense_weights(f"backbone/hidden/{index}", hidden)
    if isinstance(layer, LinearBackbone):
        for index, hyper in enumerate(layer.hyper_network.dense_layers):
            weights |= dense_weights(f"modulation/hyper/{index}", hyper)
        return weights
    for index, (hyper, head) in enumerate(
        zip(layer.hyper_network.chain, layer.hyper_network.heads, strict=True)
    ):
        weights |= dense_weights(f"modulation/hyper/{index}", hyper)
        weights |= dense_weights(f"modulation/head/{index}", head)
    return weights | dense_weights("backbone/output", layer.output_layer)


class TestHyperNetwork(LayerRecipe):
    weights = 8
    output_shapes = (
        [5, 4],
        [5, 6],
    )

    def make(self):
        return HyperNetwork(7, [4, 6], bias_initial_value=0.1)

    def inputs(self):
        return [normal(3, 5, 6)]

    def build(self, layer):
        layer.build([None, None, 6])

    def test_biases_start_where_asked(self):
        layer = self.make()
        self.build(layer)
        for bias in layer.get_weights()[1::2]:
            np.testing.assert_array_equal(bias, np.full(bias.shape, 0.1, np.float32))


class ModulatedRecipe(LayerRecipe):
    output_shapes = ([5],)
    layer_type = FilmBackbone
    scores = staticmethod(numpy_reference.film_scores)
    refused = (
        ({"units": []}, r"`units` must be one or more positive integers\. Received: units=\[\]\."),
        (
            {"hyper_units": 0},
            r"`hyper_units` must be a positive integer\. Received: hyper_units=0\.",
        ),
    )

    def make(self, units=(8, 7), hyper_units=9):
        return self.layer_type(units, hyper_units, bias_initial_value=0.1)

    def inputs(self):
        return [normal(3, 5, 6), normal(3, 5, 4, seed=4)]

    def build(self, layer):
        layer.build([None, None, 6], [None, None, 4])

    def test_equals_the_reference(self):
        layer = self.built()
        pairs, hybrid = self.inputs()
        weights = reference_weights(layer)
        expected = [self.scores(e, c, weights) for e, c in zip(pairs, hybrid, strict=True)]
        np.testing.assert_allclose(
            layer(tf.constant(pairs), tf.constant(hybrid)), expected, 1e-5, 1e-5
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


class TestFilm(ModulatedRecipe):
    weights = 14

    def test_modulation_is_scale_and_shift_of_each_layer(self):
        layer = self.built()
        _, hybrid = self.inputs()
        values = layer.modulation(tf.constant(hybrid))
        assert {name: value.shape[-1] for name, value in values.items()} == {
            "scale_1": 8,
            "shift_1": 8,
            "scale_2": 7,
            "shift_2": 7,
        }
        heads = numpy_reference.hyper_heads(hybrid[0], reference_weights(layer))
        for index, head in enumerate(heads, start=1):
            scale, shift = np.split(head, 2, axis=-1)
            np.testing.assert_allclose(values[f"scale_{index}"][0], scale, atol=1e-5)
            np.testing.assert_allclose(values[f"shift_{index}"][0], shift, atol=1e-5)


class TestResidualFilm(TestFilm):
    """Beyond the paper: the scale is 1 + s."""

    def make(self, units=(8, 7), hyper_units=9):
        return FilmBackbone(units, hyper_units, residual_scale=True)

    @staticmethod
    def scores(embedding, hybrid, weights):
        config = ModelConfig(residual_scale=True)
        return beyond_the_paper.score_and_hidden(embedding, hybrid, weights, config)[0]

    def test_modulation_is_scale_and_shift_of_each_layer(self):
        layer = self.built()
        _, hybrid = self.inputs()
        values = layer.modulation(tf.constant(hybrid))
        head = numpy_reference.hyper_heads(hybrid[0], reference_weights(layer))[0]
        np.testing.assert_allclose(values["scale_1"][0], 1 + head[:, :8], atol=1e-5)
        np.testing.assert_allclose(values["shift_1"][0], head[:, 8:], atol=1e-5)

    def test_untrained_it_is_near_the_plain_backbone(self):
        layer = self.make()
        self.build(layer)
        for head in layer.hyper_network.heads:
            head.kernel.assign(tf.zeros_like(head.kernel))
        pairs, hybrid = map(tf.constant, self.inputs())
        hidden = layer.hidden(pairs)
        plain = tf.squeeze(layer.output_layer(hidden), -1)
        score, last = layer.score_and_hidden(pairs, hybrid)
        np.testing.assert_allclose(score, plain, atol=1e-6)
        np.testing.assert_allclose(last, hidden, atol=1e-6)


class TestSigmoid(ModulatedRecipe):
    weights = 14
    layer_type = SigmoidBackbone
    scores = staticmethod(numpy_reference.sigmoid_scores)

    def test_modulation_is_a_gate_between_0_and_1(self):
        layer = self.built()
        _, hybrid = self.inputs()
        values = layer.modulation(tf.constant(hybrid))
        heads = numpy_reference.hyper_heads(hybrid[0], reference_weights(layer))
        assert list(values) == ["scale_1", "scale_2"]
        for name, head in zip(values, heads, strict=True):
            np.testing.assert_allclose(values[name][0], numpy_reference.sigmoid(head), atol=1e-5)


class TestLinear(ModulatedRecipe):
    weights = 10
    layer_type = LinearBackbone
    scores = staticmethod(numpy_reference.linear_scores)

    def test_modulation_is_the_output_layer(self):
        layer = self.built()
        pairs, hybrid = self.inputs()
        values = layer.modulation(tf.constant(hybrid))
        hidden = layer.hidden(tf.constant(pairs))
        written = (
            tf.reduce_sum(hidden * values["output_weight"], -1) + values["output_bias"][..., 0]
        )
        np.testing.assert_allclose(layer(*map(tf.constant, self.inputs())), written, atol=1e-5)


class TestRatingLinear(ModulatedRecipe):
    """The user setting's: ReLU between the hidden layers only, one hidden hyper-network layer."""

    weights = 8
    layer_type = RatingLinearBackbone

    @staticmethod
    def scores(embedding, hybrid, weights):
        dense = numpy_reference.dense
        hidden = np.maximum(dense(embedding, weights, "backbone/hidden/0"), 0)
        hidden = dense(hidden, weights, "backbone/hidden/1")
        written = np.maximum(dense(hybrid, weights, "modulation/hyper/0"), 0)
        written = dense(written, weights, "modulation/hyper/1")
        return (hidden * written[..., :-1]).sum(-1) + written[..., -1]
