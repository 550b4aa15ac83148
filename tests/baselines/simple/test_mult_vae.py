"""Mult-VAE is what its paper says, and finds what users have in common."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from cmml_tf.baselines.simple_rankings.mult_vae import EPOCHS, MultVae, MultVaeTraining

ITEMS = 12


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    half = np.arange(300)[:, None] % 2 == np.arange(ITEMS) % 2  # users take even items, or odd ones
    taken = csr_matrix((rng.random([300, ITEMS]) < np.where(half, 0.6, 0.1)).astype(np.float32))
    training = MultVaeTraining(ITEMS, seed=3)
    return taken, training, training.weights(taken)


def test_items_of_the_same_kind_come_first_and_others_last(trained):
    taken, _, weights = trained
    assert [*weights] == [*EPOCHS]
    times = np.append(np.asarray(taken.sum(axis=0)).ravel(), [0, 0])
    system = MultVae(times, weights[60], 60)
    known = csr_matrix((np.ones(2), ([0, 1], [4, 7])), shape=(2, ITEMS + 2))
    scores = system.scores(known)
    assert system.settings == {"epochs": 60}
    assert scores.shape == (2, ITEMS + 2)
    for task in range(2):
        best = np.argsort(-scores[task, :ITEMS])[:6]
        assert (best % 2 == task).all()
        np.testing.assert_array_equal(scores[task, ITEMS:], scores[task].min())


def test_another_training_of_the_same_network_is_the_same(trained):
    taken, training, weights = trained
    again = training.weights(taken)
    for epochs in EPOCHS:
        for one, other in zip(weights[epochs], again[epochs], strict=True):
            np.testing.assert_array_equal(one, other)


def test_scores_are_the_formula(trained):
    _, _, weights = trained
    read, bias, mean, mean_bias, written, written_bias, out, out_bias = weights[30]
    x = np.zeros([1, ITEMS])
    x[0, [1, 3, 8, 10]] = 1.0
    hidden = np.tanh(x / 2.0 @ read + bias)
    latent = (hidden @ mean + mean_bias)[:, :64]
    wanted = np.tanh(latent @ written + written_bias) @ out + out_bias
    found = MultVae(np.ones(ITEMS), weights[30], 30).scores(csr_matrix(x))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
