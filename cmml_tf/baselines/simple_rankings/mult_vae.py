"""Mult-VAE: a variational autoencoder of what users have taken, with a multinomial likelihood.

Liang et al. 2018: of a user's items x, a part left out at random and scaled to length 1,

  q(z | x) = N(m, diag(s^2)),   [m, log s^2] = f(x),   log p(x | z) = sum_i x_i log softmax_i g(z),

is trained on -E_q log p(x | z) + b KL(q | N(0, I)), b growing from 0. A new user's scores are g(m).
Smaller than in the paper (200 and 64 units for 600 and 200), and of the M most taken items. An
epoch is a pass over the users; where 60 would be more than 2,000 steps, each is as much shorter.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

from cmml_tf.baselines.simple_rankings.catalogue_system import CatalogueSystem

_HIDDEN, _LATENT = 200, 64
EPOCHS = (15, 30, 60)
"""Lengths of a training that are tried."""
_MOST_STEPS = 2000
_DROPOUT, _MOST_BETA, _LEARNING_RATE, _BATCH = 0.5, 0.2, 2e-3, 256


class MultVae(CatalogueSystem):
    """g(m) of the support; items outside of the M have the lowest score that a user has.

    Args:
      taken: int [I].
      weights: As `MultVaeTraining.weights` gives them, of M items.
      epochs: How long they were trained.
    """

    def __init__(self, taken: np.ndarray, weights: Sequence[np.ndarray], epochs: int) -> None:
        super().__init__(taken, epochs=epochs)
        self._weights = weights

    def scores(self, support: csr_matrix) -> np.ndarray:
        """float [B, I]."""
        read, bias, mean, mean_bias, written, written_bias, out, out_bias = self._weights
        known = support[:, : len(read)]
        length = np.sqrt(np.maximum(known.getnnz(axis=1), 1))[:, None]
        hidden = np.tanh((known @ read) / length + bias)
        latent = hidden @ mean[:, :_LATENT] + mean_bias[:_LATENT]
        found = np.tanh(latent @ written + written_bias) @ out + out_bias
        beside = support.shape[1] - found.shape[1]
        lowest = np.repeat(found.min(axis=1, keepdims=True), beside, axis=1)
        return np.concatenate([found, lowest], axis=1)


class MultVaeTraining:
    """One training after the other of the same network, each from its first weights.

    Args:
      items: M.
      seed: Fixes weights and what is left out.
    """

    def __init__(self, items: int, seed: int) -> None:
        self._seed, self._items = seed, items
        self._layers = [
            tf.keras.layers.Dense(_HIDDEN, "tanh"),
            tf.keras.layers.Dense(2 * _LATENT),
            tf.keras.layers.Dense(_HIDDEN, "tanh"),
            tf.keras.layers.Dense(items),
        ]
        for layer, width in zip(self._layers, (items, _HIDDEN, _LATENT, _HIDDEN), strict=True):
            layer.build([None, width])
        self._variables = [one for layer in self._layers for one in layer.weights]
        self._optimizer = tf.keras.optimizers.Adam(_LEARNING_RATE)
        self._optimizer.build(self._variables)
        specs = [tf.TensorSpec([None, items]), tf.TensorSpec([2], tf.int32), tf.TensorSpec([])]
        self._step = tf.function(self._train, input_signature=specs)

    def weights(self, taken: csr_matrix) -> dict[int, list[np.ndarray]]:
        """The weights after each number of `EPOCHS`.

        Args:
          taken: float32 [T, M], 1 where a user has taken an item.
        """
        rng = np.random.default_rng(self._seed)
        for one in self._variables:
            wide = sum(one.shape) if len(one.shape) == 2 else np.inf
            bound = np.sqrt(6.0 / wide)  # Glorot and Bengio 2010; biases begin at 0
            one.assign(rng.uniform(-bound, bound, one.shape))
        for one in self._optimizer.variables:
            one.assign(tf.zeros_like(one) if one.dtype.is_floating else 0 * one)
        self._optimizer.learning_rate.assign(_LEARNING_RATE)
        found, order = {}, rng.permutation(taken.shape[0])
        batches = max(1, -(-len(order) // _BATCH))
        total = min(EPOCHS[-1] * batches, _MOST_STEPS)
        ends = {max(1, total * epochs // EPOCHS[-1]): epochs for epochs in EPOCHS}
        for step in range(total):
            if step % batches == 0:
                order = rng.permutation(order)
            rows = order[step % batches * _BATCH :][:_BATCH]
            beta = _MOST_BETA * step / total
            self._step(taken[rows].toarray(), [self._seed % 2**31, step], beta)
            if step + 1 in ends:
                found[ends[step + 1]] = [one.numpy() for one in self._variables]
        return found

    def _train(self, taken: tf.Tensor, key: tf.Tensor, beta: tf.Tensor) -> None:
        read, coded, written, out = self._layers
        with tf.GradientTape() as tape:
            known = tf.math.l2_normalize(taken, axis=1)
            known = tf.nn.experimental.stateless_dropout(known, _DROPOUT, key)
            mean, log_variance = tf.split(coded(read(known)), 2, axis=1)
            noise = tf.random.stateless_normal(tf.shape(mean), key + tf.constant([0, 2**30]))
            latent = mean + noise * tf.exp(0.5 * log_variance)
            likelihood = taken * tf.nn.log_softmax(out(written(latent)))
            distance = 0.5 * (tf.exp(log_variance) + tf.square(mean) - 1.0 - log_variance)
            loss = beta * tf.reduce_sum(distance, axis=1) - tf.reduce_sum(likelihood, axis=1)
            loss = tf.reduce_mean(loss)
        gradients = tape.gradient(loss, self._variables)
        self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
