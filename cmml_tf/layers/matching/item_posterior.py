"""An item after the support: how often it was taken, and by whom, each shrunken to its prior."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.flat_pairs import on_flat_pairs
from cmml_tf.layers.learned_number import REACH, learned_number


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class CountPosterior(tf.keras.layers.Layer):
    """log(exp(s) + c / k): the clicks c of an item, beside k that were not seen but expected.

    The mean of a Gamma-Poisson posterior, up to what all items share: s is the prior log rate and k
    how many clicks it is worth, by two learned numbers, of items that the table knows and of
    others, and by a small network of how much there is of a support and how well the item is known.
    Where nobody clicked it is s, whatever k: log(k exp(s) + c) would put items that are known above
    others by how much more their s is worth.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = tf.keras.layers.Dense(16, "relu", name="hidden")
        self.strength = tf.keras.layers.Dense(1, kernel_initializer="zeros", name="strength")

    def build(self, input_shape: Any) -> None:
        """`input_shape`: of `evidence`."""
        build_named(self.hidden, [None, int(input_shape[-1])])
        build_named(self.strength, [None, 16])
        self.log_strength = learned_number(self, "log_strength", 1.5)
        self.log_known = learned_number(self, "log_known", 0.0)
        super().build(input_shape)

    def call(
        self, prior: tf.Tensor, count: tf.Tensor, known: tf.Tensor, evidence: tf.Tensor
    ) -> tf.Tensor:
        """float32 [B, Q, 1].

        Args:
          prior, count: float32 [B, Q, 1], s and c.
          known: float32 [B, Q, 1], 1 for items that the table knows, else 0.
          evidence: float32 [B, Q, e].
        """
        strength = on_flat_pairs(lambda rows: self.strength(self.hidden(rows)), evidence)
        log_k = strength + REACH * (self.log_strength + self.log_known * known)
        # Not log(exp(s) + c / k), which would overflow.
        return prior + tf.math.softplus(tf.math.log(tf.maximum(count, 1e-30)) - log_k - prior)


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ClickerPosterior(tf.keras.layers.Layer):
    """The factor of an item, folded in from those who took it: (k v + sum_s (u_s - u')) / (k + c).

    u_s are the factors of its takers, u' the mean of all support users' (who comes to a scenario is
    not what an item is), v the factor before, k a learned number for each dimension. With whitened
    user factors this is the Newton step of a factorisation, whose matrix is then diagonal: no
    system is solved for an item.
    """

    def build(self, input_shape: Any) -> None:
        """`input_shape`: of the items' factors, [..., d]."""
        self.log_prior_count = self.add_weight(
            name="log_prior_count",
            shape=[int(input_shape[-1])],
            initializer=tf.keras.initializers.Constant(2.5),
        )
        super().build(input_shape)

    def call(self, prior: tf.Tensor, takers: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """v and the sum over takers [B, N, d], c [B, N, 1] -> float32 [B, N, d]."""
        k = tf.exp(self.log_prior_count)
        return (k * prior + takers) / (k + count)

    def from_takers(self, takers: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """The same with v = 0: what the takers alone say."""
        return takers / (tf.exp(self.log_prior_count) + count)
