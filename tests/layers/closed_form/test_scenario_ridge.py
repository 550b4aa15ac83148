"""The closed-form head: exact, safe in float32, and a defined answer to an empty support set.

Its numbers against the NumPy reference are in tests/models/test_cmml.py, preset `cmml-ridge`.
"""

import numpy as np
import pytest
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, MaskedLayerRecipe, normal

from cmml_tf.layers.closed_form.scenario_basis import ScenarioBasis
from cmml_tf.layers.closed_form.scenario_ridge import ScenarioRidgeEncoder, ScenarioRidgeRecommender

DIMENSION = 16
TASTES = 3
NUMBERS = ("affinity", "base_feature", "negative_target", "negative_log_weight")
NUMBERS += ("base_share", "log_penalty", "gate")


class RidgeRecipe:
    def built(self):
        layer = super().built()
        # Numbers count tenfold, and some stand in an exponent.
        for variable in layer.trainable_variables:
            if variable.name.split(":")[0].endswith(NUMBERS):
                variable.assign(0.1 * variable)
        return layer


class TestBasis(RidgeRecipe, LayerRecipe):
    weights = 15
    output_shapes = ([5, 8],)
    refused = (
        ({"features": 0}, "`features` must be"),
        ({"tastes": 0}, "`tastes` must be"),
        ({"dropout": 1.0}, "`dropout` must be at least 0 and below 1"),
    )

    def make(self, features=3, tastes=2, dropout=0.4):
        return ScenarioBasis([8], features, tastes, dropout)

    def inputs(self):
        return [normal(3, 5, 4)]

    def build(self, layer):
        layer.build([None, None, 4])


class TestEncoder(RidgeRecipe, MaskedLayerRecipe):
    weights = 19
    output_shapes = ([7],)

    def make(self):
        return ScenarioRidgeEncoder(ScenarioBasis([8], features=3, tastes=2))

    def inputs(self):
        positive = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 1], [1, 0, 1, 0, 1]], np.float32)
        return [np.concatenate([normal(3, 5, 4), np.stack([positive, 1 - positive], -1)], axis=-1)]

    def build(self, layer):
        layer.build([None, None, 6])


class TestRecommender(RidgeRecipe, LayerRecipe):
    weights = 16
    output_shapes = ([5],)

    def make(self):
        return ScenarioRidgeRecommender(ScenarioBasis([8], features=3, tastes=2))

    def inputs(self):
        return [normal(3, 5, 4), normal(3, 1, 7, seed=4)]

    def build(self, layer):
        layer.build([None, None, 4])


def _support(size, seed=0, batch=2):
    rng = np.random.default_rng(seed)
    pairs = rng.normal(0, 0.25, (batch, size, DIMENSION))
    positive = rng.random((batch, size, 1)) < 0.4
    return np.concatenate([pairs, positive, ~positive], axis=-1).astype(np.float32)


def _encoder(features=8, dropout=0.0):
    tf.keras.utils.set_random_seed(0)
    return ScenarioRidgeEncoder(ScenarioBasis([8], features, TASTES, dropout))


@pytest.mark.parametrize("size", [1, 3, 40, 3000])
def test_context_solves_the_normal_equations_in_double_precision(size):
    encoder, support = _encoder(), _support(size)
    context = encoder(support).numpy()
    basis = encoder.basis(support[..., :-2]).numpy().astype(np.float64)
    for row in range(2):
        base, x, positive = basis[row, :, 0], basis[row, :, 1:], support[row, :, -2]
        target = positive - 0.5 * (1 - positive) - 0.5 * base
        penalty = np.exp(2.3) + 0.1
        expected = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ target)
        np.testing.assert_allclose(context[row], expected, rtol=1e-3, atol=1e-4)


def test_no_support_means_the_recommender_without_context():
    encoder = _encoder()
    recommender = ScenarioRidgeRecommender(encoder.basis)
    context = encoder(_support(4), mask=tf.zeros([2, 4], tf.bool))
    np.testing.assert_array_equal(context, np.zeros((2, encoder.basis.width)))
    pairs = _support(5)[..., :-2]
    scores = recommender(pairs, context[:, None])
    np.testing.assert_allclose(scores, encoder.basis(pairs)[..., 0], atol=1e-6)


def test_masked_pairs_change_nothing_and_order_does_not_matter():
    encoder, support = _encoder(), _support(6)
    mask = tf.constant([[True] * 4 + [False] * 2] * 2)
    context = encoder(support, mask=mask)
    np.testing.assert_allclose(context, encoder(support[:, :4]), atol=1e-5)
    np.testing.assert_allclose(context, encoder(support[:, 3::-1]), atol=1e-5)


def test_positives_of_a_direction_raise_its_items():
    encoder = _encoder()
    recommender = ScenarioRidgeRecommender(encoder.basis)
    direction = np.zeros((1, 1, DIMENSION), np.float32)
    direction[..., DIMENSION // 2] = 0.5
    support = np.concatenate(
        [
            np.concatenate([direction, [[[1.0, 0.0]]]], axis=-1),
            np.concatenate([-direction, [[[0.0, 1.0]]]], axis=-1),
        ],
        axis=1,
    ).astype(np.float32)
    query = np.concatenate([direction, -direction], axis=1)
    base = encoder.basis(query)[..., 0].numpy()[0]
    high, low = recommender(query, encoder(support)[:, None]).numpy()[0] - base
    assert high > low + 0.01


def test_training_reaches_every_number_through_the_solution():
    encoder = _encoder()
    recommender = ScenarioRidgeRecommender(encoder.basis)
    with tf.GradientTape() as tape:
        scores = recommender(_support(5, seed=1)[..., :-2], encoder(_support(9))[:, None])
        loss = tf.reduce_sum(scores**2)
    weights = [*encoder.trainable_variables, *recommender.trainable_variables]
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        assert np.abs(gradient.numpy()).max() > 0, weight.name


def test_inputs_are_left_out_in_training_only():
    basis = ScenarioBasis([8], features=3, tastes=2, dropout=0.5)
    pairs = _support(50)[..., :-2]
    np.testing.assert_array_equal(basis(pairs), basis(pairs, training=False))
    assert np.abs(basis(pairs, training=True)[..., 0] - basis(pairs)[..., 0]).max() > 1e-3


def test_configuration_makes_an_equal_layer():
    encoder = _encoder(features=5, dropout=0.1)
    context = encoder(_support(6))
    twin = ScenarioRidgeEncoder.from_config(encoder.get_config())
    twin(_support(6))
    twin.set_weights(encoder.get_weights())
    np.testing.assert_array_equal(twin(_support(6)), context)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"tastes": 0}, "`tastes` must be a positive integer. Received: tastes=0."),
        ({"features": 0}, "`features` must be a positive integer. Received: features=0."),
        ({"dropout": 1.0}, "`dropout` must be at least 0 and below 1. Received: 1.0."),
    ],
)
def test_refused_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        ScenarioBasis([8], **arguments)


def test_unequal_widths_are_refused():
    with pytest.raises(ValueError, match="equally wide"):
        ScenarioBasis([8])(tf.ones([1, 2, 5]))
