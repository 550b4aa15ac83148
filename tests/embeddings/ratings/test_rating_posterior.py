"""The Bayesian factor model of ratings, and the kernel of items' residuals."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from cmml_tf.embeddings.ratings.rating_posterior import fit_rating_posterior
from cmml_tf.embeddings.residual_kernel import residual_kernel
from cmml_tf.embeddings.row_content import content_rows
from cmml_tf.types import Feature, FeatureColumn

USERS, ITEMS = 300, 40
NOISE = 0.3


def ratings():
    """Two tastes, one of them told by the user's content, and what each rating is without noise."""
    rng = np.random.default_rng(0)
    content = np.stack([np.ones(USERS), rng.normal(size=USERS)], axis=1)
    taste = np.stack([content[:, 1], rng.normal(size=USERS)], axis=1)
    expected = taste @ rng.normal(size=(2, ITEMS)) * 0.6 + rng.normal(0, 0.4, ITEMS)
    rated = rng.random(expected.shape) < 0.5
    values = expected + rng.normal(0, np.sqrt(NOISE), expected.shape)
    return csr_matrix(np.where(rated, values, 0.0)), content, expected, rated


@pytest.fixture(scope="module")
def fitted():
    matrix, content, expected, rated = ratings()
    constant = np.ones((ITEMS + 1, 1))
    model = fit_rating_posterior(matrix, content, constant, dimension=3, sweeps=20, seed=0)
    return model, matrix, content, expected, rated


def test_it_finds_the_noise_and_what_was_not_rated(fitted):
    model, matrix, content, expected, rated = fitted
    assert model.noise == pytest.approx(NOISE, rel=0.2)
    ones = csr_matrix(rated.astype(float))
    mean, _ = model.users(matrix, ones, content)
    predicted = model.mean[:-1] + mean @ model.factors[:-1].T
    error = np.abs(predicted - expected)[~rated].mean()
    assert error < 0.3 * np.abs(expected - expected.mean())[~rated].mean()


def test_content_says_what_a_user_without_ratings_likes(fitted):
    model, _, content, expected, _ = fitted
    nothing = csr_matrix((USERS, ITEMS))
    mean, covariance = model.users(nothing, nothing, content)
    np.testing.assert_allclose(covariance, np.broadcast_to(np.eye(3), covariance.shape))
    predicted = model.mean[:-1] + mean @ model.factors[:-1].T
    correlation = np.corrcoef(predicted.ravel(), expected.ravel())[0, 1]
    plain = np.corrcoef(np.tile(model.mean[:-1], USERS), expected.ravel())[0, 1]
    assert correlation > plain + 0.1


def test_the_posterior_is_bayes_rule(fitted):
    model, matrix, content, _, rated = fitted
    mean, covariance = model.users(matrix[:5], csr_matrix(rated[:5].astype(float)), content[:5])
    for user in range(5):
        items = np.flatnonzero(rated[user])
        v, noise = model.factors[items], model.noise
        # By the joint normal distribution of factors and ratings.
        gain = v.T @ np.linalg.inv(v @ v.T + noise * np.eye(len(items)))
        prior = content[user] @ model.prior
        values = matrix[user].toarray()[0, items]
        np.testing.assert_allclose(
            mean[user], prior + gain @ (values - model.mean[items] - v @ prior), atol=1e-8
        )
        np.testing.assert_allclose(covariance[user], np.eye(3) - gain @ v, atol=1e-8)


def test_the_kernel_is_the_shrunken_correlation_of_residuals():
    rng = np.random.default_rng(1)
    rated = rng.random((30, 6)) < 0.6
    e = np.where(rated, rng.normal(size=rated.shape), 0.0)
    items = np.array([0, 2, 3, 5])
    kernel = residual_kernel(csr_matrix(e), csr_matrix(rated.astype(float)), items)
    for a, i in enumerate(items):
        for b, j in enumerate(items):
            both = rated[:, i] & rated[:, j]
            n, squares = both.sum(), (e[both][:, [i, j]] ** 2).sum(axis=0) + 4
            c = (e[both, i] * e[both, j]).sum() / np.sqrt(squares.prod()) * n / (n + 25)
            expected = 0.0 if a == b else max(c, 0.0)
            assert kernel[a, b] == pytest.approx(expected, abs=1e-3)


def test_rare_values_and_the_unknown_row_are_nothing():
    size = 200
    many = FeatureColumn(
        Feature("c", "categorical", tuple(map(str, range(size)))),
        np.concatenate([np.repeat(np.arange(size), 2), [0, size]]).astype(np.int32),
    )
    rows = content_rows([many], 2 * size + 1)
    assert rows.shape == (2 * size + 2, 128)
    assert rows[0].sum() == rows[-2].sum() == 1  # the most frequent value
    assert rows[-1].sum() == rows[2 * size - 1].sum() == 0
