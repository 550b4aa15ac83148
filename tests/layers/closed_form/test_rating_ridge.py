"""The closed-form head: the solution of the regression it promises, for any support."""

import numpy as np
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, MaskedLayerRecipe, normal

from cmml_tf.layers.closed_form.rating_ridge import (
    RidgeBasis,
    RidgeContextEncoder,
    RidgeRecommender,
)

B, S, D_ITEM, D, K = 3, 7, 5, 6, 2


class TestBasis(LayerRecipe):
    weights = 3
    output_shapes = ([S, K + 2],)
    refused = (({"features": 5}, r"`features` must be positive and below .* features=5"),)

    def make(self, features=K):
        return RidgeBasis(D_ITEM, features)

    def inputs(self):
        return [normal(3, S, D)]

    def build(self, layer):
        layer.build([None, None, D])


class TestEncoder(MaskedLayerRecipe):
    weights = 4
    output_shapes = ([K + 1],)

    def make(self):
        return RidgeContextEncoder(RidgeBasis(D_ITEM, K), bias_penalty=2.0, feature_penalty=5.0)

    def inputs(self):
        return [normal(3, 5, D + 1)]

    def build(self, layer):
        layer.build([None, None, D + 1])


class TestRecommender(LayerRecipe):
    weights = 3
    output_shapes = ([S],)

    def make(self):
        return RidgeRecommender(RidgeBasis(D_ITEM, K))

    def inputs(self):
        return [normal(3, S, D), normal(3, 1, K + 1, seed=4)]

    def build(self, layer):
        layer.build([None, None, D])


def parts():
    rng = np.random.default_rng(0)
    basis = RidgeBasis(D_ITEM, K)
    encoder = RidgeContextEncoder(basis, bias_penalty=2.0, feature_penalty=5.0)
    encoder.build([None, None, D + 1])
    for variable in basis.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    pairs = rng.normal(size=[B, S, D]).astype("f")
    rating = rng.integers(1, 6, [B, S, 1]).astype("f")
    return basis, encoder, pairs, rating


def test_the_context_is_the_ridge_solution_and_the_score_its_prediction():
    basis, encoder, pairs, rating = parts()
    lengths = [S, 3, 0]
    mask = np.arange(S) < np.array(lengths)[:, None]
    spoiled = np.where(mask[..., None], np.concatenate([pairs, rating], -1), np.nan)
    context = encoder(tf.constant(spoiled, tf.float32), mask=tf.constant(mask))
    read = basis(tf.constant(pairs)).numpy()
    for b, n in enumerate(lengths):
        x, y = read[b, :n, 1:], rating[b, :n, 0] - read[b, :n, 0]
        penalty = np.diag([2.0, 5.0, 5.0]) + 1e-3 * np.eye(3)
        w = np.linalg.solve(x.T @ x + penalty, x.T @ y)
        np.testing.assert_allclose(context[b], w, atol=1e-5)
        score = RidgeRecommender(basis)(pairs[b : b + 1], context[b : b + 1, None])
        np.testing.assert_allclose(score[0], read[b, :, 0] + read[b, :, 1:] @ w, atol=1e-5)
    assert not context[2].numpy().any()  # nobody's ratings: what is expected of anyone


def test_training_goes_through_the_solution():
    basis, encoder, pairs, rating = parts()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(encoder(tf.concat([pairs, rating], -1)))
    gradients = tape.gradient(total, [basis.projection, basis.weight, encoder.log_penalty])
    assert all(np.abs(gradient.numpy()).max() > 0 for gradient in gradients)


def test_the_first_item_values_are_offset_and_factors():
    basis = RidgeBasis(D_ITEM, K)
    pairs = tf.range(1.0, D + 1.0)[None, None]
    np.testing.assert_allclose(basis(pairs)[0, 0], [1, 1, 2, 3])


def test_thousands_of_equal_ratings_are_solved():
    encoder = RidgeContextEncoder(RidgeBasis(D_ITEM, K), bias_penalty=2.0, feature_penalty=5.0)
    pair = 30 * normal(1, 1, D + 1)
    encoder.build(pair.shape)
    encoder.log_penalty.assign([-9.0] * (K + 1))  # the least penalty that can be learned
    context = encoder(tf.repeat(pair, 3000, axis=1))
    basis = encoder.basis(pair[..., :-1])
    predicted = basis[..., 0] + tf.reduce_sum(basis[..., 1:] * context[:, None], axis=-1)
    np.testing.assert_allclose(predicted, pair[..., -1], rtol=1e-3)
