"""Attention pooling: the encoder recipe, several vectors, the empty support set."""

import numpy as np
import tensorflow as tf
from layers.layer_recipe import MaskedLayerRecipe, normal
from reference import beyond_the_paper

from cmml_tf.layers.encoders.attention_encoder import AttentionContextEncoder, masked_softmax


def reference_weights(layer):
    names = ("pair/0", "pair/1", "points", "vector/0", "vector/1")
    values = iter(layer.get_weights())
    return {
        f"context_encoder/{name}/{kind}": next(values)
        for name in names
        for kind in ("kernel", "bias")
    }


class TestAttentionEncoder(MaskedLayerRecipe):
    weights = 10
    output_shapes = ([8],)
    refused = (
        ({"vectors": 0}, r"`vectors` must be a positive integer. Received: vectors=0"),
        ({"heads": -1}, r"`heads` must be a positive integer\. Received: heads=-1"),
    )

    def make(self, vectors=2, heads=3):
        return AttentionContextEncoder(4, vectors, units=5, heads=heads)

    def inputs(self):
        return [normal(3, 5, 6)]

    def build(self, layer):
        layer.build([None, None, 6])

    def test_equals_the_reference(self):
        layer = self.built()
        mask = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], bool)
        (result,) = self.outputs(layer, mask=mask)
        (sequences,) = self.inputs()
        expected = [
            beyond_the_paper.attention_context(sequence[valid], reference_weights(layer), 2)
            for sequence, valid in zip(sequences, mask, strict=True)
        ]
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)

    def test_order_of_the_support_does_not_matter(self):
        layer = self.built()
        (sequence,) = self.inputs()
        np.testing.assert_allclose(
            layer(tf.constant(sequence)), layer(tf.constant(sequence[:, ::-1])), atol=1e-5
        )

    def test_vectors_of_a_task_differ(self):
        (result,) = self.outputs(self.built())
        assert np.abs(result[:2, :4] - result[:2, 4:]).max() > 0.1


def test_masked_softmax_is_safe_for_any_logits():
    logits = tf.constant([[[1e30], [-1e30], [3.0]], [[5.0], [6.0], [7.0]]])
    mask = tf.constant([[False, True, True], [False, False, False]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        result = masked_softmax(logits, mask)
    np.testing.assert_array_equal(result[..., 0], [[0, 0, 1], [0, 0, 0]])
    assert np.isfinite(tape.gradient(result, logits)).all()
