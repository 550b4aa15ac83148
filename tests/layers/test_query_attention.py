"""The attending hybrid context: the recipe, the reference."""

import numpy as np
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal
from reference import beyond_the_paper

from cmml_tf.layers.query_attention import QueryAttention


class TestQueryAttention(LayerRecipe):
    weights = 6
    output_shapes = ([5, 8],)
    refused = (
        ({"vectors": 0}, r"`vectors` must be a positive integer\. Received: vectors=0"),
        ({"heads": 3}, r"`units` must be a multiple of `heads`\. Received: units=8, heads=3"),
    )
    # Attention is the same for all keys shifted alike, so the key's bias has no gradient.
    without_gradient = ("key/bias",)

    def make(self, vectors=3, heads=2):
        return QueryAttention(vectors, units=8, heads=heads)

    def inputs(self):
        return [normal(3, 12), normal(3, 5, 6, seed=4)]

    def build(self, layer):
        layer.build([None, 12], [None, None, 6])

    def test_equals_the_reference(self):
        layer = self.built()
        weights = {
            f"hybrid/{name}/{kind}": getattr(getattr(layer, name), kind).numpy()
            for name in ("query", "key", "value")
            for kind in ("kernel", "bias")
        }
        contexts, pairs = self.inputs()
        result = layer(tf.constant(contexts), tf.constant(pairs))
        for row, context, query in zip(result, contexts, pairs, strict=True):
            expected = beyond_the_paper.query_attention(context, query, weights, 3, 2)
            np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-5)

    def test_scale_multiplies_what_is_read(self):
        layer = self.built()
        larger = QueryAttention(3, units=8, heads=2, scale=4.0)
        self.build(larger)
        larger.set_weights(layer.get_weights())
        inputs = [*map(tf.constant, self.inputs())]
        np.testing.assert_allclose(larger(*inputs), 4 * layer(*inputs), rtol=1e-6)
        assert larger.get_config()["scale"] == 4.0

    def test_output_width_is_what_call_gives(self):
        layer = self.built()
        assert layer(*map(tf.constant, self.inputs())).shape[-1] == layer.output_width(12, 6)
