"""Context encoders (equations 6 and 7): the recipe, the reference, the empty support set."""

import numpy as np
import pytest
import tensorflow as tf
from layers.layer_recipe import MaskedLayerRecipe, normal
from reference import beyond_the_paper, numpy_reference

from cmml_tf.layers.encoders.context_encoder import (
    PoolingContextEncoder,
    SequentialContextEncoder,
    binary_label_features,
)


def reference_weights(layer):
    """Weights by the oracle's names: the GRU's first, then the MLP's."""
    values = layer.get_weights()
    weights = {}
    if isinstance(layer, SequentialContextEncoder):
        for name in ("kernel", "recurrent_kernel", "bias"):
            weights[f"context_encoder/gru/{name}"] = values.pop(0)
    elif layer.prior:
        values = values[1 + (layer.pooling == "mean") :]
    for index in range(len(values) // 2):
        weights[f"context_encoder/mlp/{index}/kernel"] = values[2 * index]
        weights[f"context_encoder/mlp/{index}/bias"] = values[2 * index + 1]
    return weights


class EncoderRecipe(MaskedLayerRecipe):
    output_shapes = ([4],)

    def inputs(self):
        return [normal(3, 5, 6)]

    def build(self, layer):
        layer.build([None, None, 6])

    def context(self, sequence, valid, weights):
        raise NotImplementedError

    def test_equals_the_reference(self):
        layer = self.built()
        # Holes in the mask too: that is what reading positives only makes.
        mask = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 1, 0], [1, 1, 1, 1, 1]], bool)
        (result,) = self.outputs(layer, mask=mask)
        (sequences,) = self.inputs()
        expected = [
            self.context(sequence, valid, reference_weights(layer))
            for sequence, valid in zip(sequences, mask, strict=True)
        ]
        np.testing.assert_allclose(result, expected, atol=1e-5)


class TestMeanPooling(EncoderRecipe):
    weights = 6
    pooling = "mean"
    refused = (
        ({"pooling": "sum"}, r"`pooling` must be mean or max\. Received: pooling='sum'\."),
        ({"units": 0}, r"`units` must be one or more positive integers\."),
        ({"context_dimension": 0}, r"must be one or more positive integers\."),
    )

    def make(self, context_dimension=4, units=7, pooling=None):
        return PoolingContextEncoder(context_dimension, units, pooling or self.pooling)

    def context(self, sequence, valid, weights):
        return numpy_reference.pooled_context(sequence, valid, weights, self.pooling)

    def test_empty_support_gives_zeros(self):
        (result,) = self.outputs(self.built())
        np.testing.assert_array_equal(result[2], np.zeros(4))

    def test_order_of_the_support_does_not_matter(self):
        layer = self.built()
        (sequence,) = self.inputs()
        np.testing.assert_allclose(
            layer(tf.constant(sequence)), layer(tf.constant(sequence[:, ::-1])), atol=1e-6
        )


class TestMaxPooling(TestMeanPooling):
    pooling = "max"

    def test_maximum_of_negative_values_is_negative(self):
        layer = self.make()
        self.build(layer)
        layer.set_weights([np.zeros_like(value) for value in layer.get_weights()])
        layer.mlp.dense_layers[-1].bias.assign([-1.0, -2.0, -3.0, -4.0])
        (result,) = self.outputs(layer)
        np.testing.assert_array_equal(result[1], [-1.0, -2.0, -3.0, -4.0])


class TestMeanPoolingWithPrior(EncoderRecipe):
    weights = 8

    def make(self, context_dimension=4, units=7):
        return PoolingContextEncoder(context_dimension, units, prior=True)

    def context(self, sequence, valid, weights):
        """As if k pairs more were there, all encoded as the prior."""
        layer = self.built()
        prior, pairs = layer.prior_context.numpy(), np.exp(layer.log_prior_pairs.numpy())
        mean = numpy_reference.pooled_context(sequence, valid, weights, "mean")
        return (valid.sum() * mean + pairs * prior) / (valid.sum() + pairs)

    def test_an_empty_support_has_the_prior(self):
        layer = self.built()
        (result,) = self.outputs(layer)
        np.testing.assert_allclose(result[2], layer.prior_context, atol=1e-6)


class TestMaxPoolingWithPrior(TestMeanPoolingWithPrior):
    weights = 7

    def make(self, context_dimension=4, units=7):
        return PoolingContextEncoder(context_dimension, units, "max", prior=True)

    def context(self, sequence, valid, weights):
        largest = numpy_reference.pooled_context(sequence, valid, weights, "max")
        return np.maximum(largest, self.built().prior_context)


class TestSequential(EncoderRecipe):
    weights = 7
    refused = (
        ({"units": 0}, r"`units` must be one or more positive integers\."),
        ({"context_dimension": -1}, r"must be one or more positive integers\."),
        ({"state": "first"}, r"`state` must be last or mean\. Received: state='first'\."),
        ({"order": "any"}, r"`order` must be given or interleaved\. Received: order='any'\."),
    )

    state, order = "last", "given"

    def make(self, context_dimension=4, units=7, state=None, order=None):
        return SequentialContextEncoder(
            context_dimension, units, state or self.state, order or self.order
        )

    def context(self, sequence, valid, weights):
        return numpy_reference.sequential_context(sequence, valid, weights)

    def test_empty_support_gives_the_mlp_of_the_initial_state(self):
        layer = self.built()
        (result,) = self.outputs(layer)
        np.testing.assert_allclose(result[2:], layer.mlp(tf.zeros([1, 7])), atol=1e-6)

    def test_training_and_inference_compute_the_same(self):
        layer = self.built()
        (sequence,) = self.inputs()
        np.testing.assert_allclose(
            layer(sequence, mask=tf.constant(self.mask), training=True),
            layer(sequence, mask=tf.constant(self.mask), training=False),
            atol=1e-6,
        )

    def test_inference_graph_registers_no_gradient(self):
        """An exported graph must hold forward operations only."""
        layer = self.built()

        def gradient_types(training):
            call = tf.function(lambda x: layer(x, training=training), autograph=False)
            graph = call.get_concrete_function(tf.TensorSpec([None, None, 6])).graph.as_graph_def()
            functions = [node for f in graph.library.function for node in f.node_def]
            return {n.name for n in [*graph.node, *functions] if "_gradient_op_type" in n.attr}

        assert gradient_types(training=False) == set()
        assert gradient_types(training=True) != set()


class TestInterleavedMeanOfStates(TestSequential):
    """Beyond the paper: labels decide the order, and every state reaches the context."""

    state, order = "mean", "interleaved"
    check_keras_model_saved_and_loaded_computes_the_same = (
        None  # Tracing is slow; its parent has it.
    )

    def inputs(self):
        positive = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 1], [1, 0, 1, 0, 1]], np.float32)
        return [np.concatenate([normal(3, 5, 4), np.stack([positive, 1 - positive], -1)], axis=-1)]

    def context(self, sequence, valid, weights):
        ordered = beyond_the_paper.interleaved(sequence, sequence[:, -2] == 1, valid)
        state = beyond_the_paper.mean_state(ordered, weights)
        return numpy_reference.mlp(state, weights, "context_encoder/mlp")

    def test_positives_first_or_mixed_is_the_same(self):
        layer = self.built()
        (sequence,) = self.inputs()
        positive, negative = sequence[:, :2], sequence[:, 2:]
        mixed = np.concatenate([negative[:, :1], positive, negative[:, 1:]], axis=1)
        np.testing.assert_allclose(layer(mixed[:1]), layer(sequence[:1]), atol=1e-6)


@pytest.mark.parametrize("encoder", [PoolingContextEncoder, SequentialContextEncoder])
def test_encoder_weights_do_not_depend_on_the_support_size(encoder):
    layer = encoder(4, 7)
    layer(tf.ones([2, 3, 6]))
    assert layer(tf.ones([2, 40, 6])).shape.as_list() == [2, 4]


def test_label_features_are_one_hot():
    label = np.array([[1.0, 0.0, 1.0]], np.float32)
    result = binary_label_features(tf.constant(label))
    np.testing.assert_array_equal(result[0], [[1, 0], [0, 1], [1, 0]])
    pairs = np.zeros([3, 0])
    np.testing.assert_array_equal(result[0], numpy_reference.labelled_pairs(pairs, label[0]))
