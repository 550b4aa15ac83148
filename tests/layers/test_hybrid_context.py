"""Hybrid context (equation 8): the recipe for each kind, its values and its widths."""

import numpy as np
import pytest
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal
from reference import beyond_the_paper, numpy_reference

from cmml_tf.config import ModelConfig
from cmml_tf.layers.hybrid_context import HybridContext

REFUSED = [({"kind": "sum"}, r"`kind` must be dot, mlp or none\. Received: kind='sum'\.")]


class HybridRecipe(LayerRecipe):
    weights = 0
    refused = REFUSED
    kind = "dot"
    check_gradient_reaches_every_weight = None  # It has none.

    def make(self, kind=None):
        return HybridContext(kind or self.kind)

    def inputs(self):
        return [normal(3, 6), normal(3, 5, 6, seed=4)]

    def build(self, layer):
        layer.build([None, 6])

    def test_equals_the_reference(self):
        contexts, pairs = self.inputs()
        result = self.make()(tf.constant(contexts), tf.constant(pairs)).numpy()
        result = np.broadcast_to(result, [3, 5, result.shape[-1]])
        for row, context, query in zip(result, contexts, pairs, strict=True):
            np.testing.assert_allclose(
                row, numpy_reference.hybrid_context(context, query, self.kind), atol=1e-6
            )

    def test_output_width_is_what_call_gives(self):
        layer = self.make()
        contexts, pairs = self.inputs()
        assert layer(contexts, pairs).shape[-1] == layer.output_width(6, 6)


class TestDot(HybridRecipe):
    output_shapes = ([5, 6],)


class TestDotOfTwoVectors(HybridRecipe):
    """Beyond the paper: each of a context's vectors times the pair, scaled."""

    output_shapes = ([5, 12],)

    def make(self, kind="dot"):
        return HybridContext(kind, scale=3.0)

    def inputs(self):
        return [normal(3, 12), normal(3, 5, 6, seed=4)]

    def build(self, layer):
        layer.build([None, 12])

    def test_equals_the_reference(self):
        contexts, pairs = self.inputs()
        result = self.make()(tf.constant(contexts), tf.constant(pairs))
        config = ModelConfig(encoder="attention", context_vectors=2, hybrid_scale=3.0)
        for row, context, query in zip(result, contexts, pairs, strict=True):
            expected = beyond_the_paper.hybrid(context, query, {}, config)
            np.testing.assert_allclose(row, expected, rtol=1e-5)

    def test_output_width_is_what_call_gives(self):
        layer = self.make()
        assert layer(*self.inputs()).shape[-1] == layer.output_width(12, 6)


class TestMlp(HybridRecipe):
    kind = "mlp"
    output_shapes = ([5, 12],)


class TestNone(HybridRecipe):
    """One context for all pairs of a task: the axis of the pairs is 1 and broadcasts."""

    kind = "none"
    output_shapes = ([1, 6],)


def test_dot_refuses_a_context_of_another_width():
    with pytest.raises(ValueError, match=r"`dot` needs a context as wide .* Received: D=4, d=6\."):
        HybridContext("dot")(tf.ones([2, 4]), tf.ones([2, 5, 6]))


def test_mlp_takes_a_context_of_another_width():
    layer = HybridContext("mlp")
    assert layer(tf.ones([2, 4]), tf.ones([2, 5, 6])).shape.as_list() == [2, 5, 10]
    assert layer.output_width(4, 6) == 10
