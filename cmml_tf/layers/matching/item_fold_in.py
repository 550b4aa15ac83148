"""An item folded in by least squares: which users of the support took it, and which did not."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.learned_number import REACH, learned_number
from cmml_tf.layers.matching.query_pairs import by_task, summed_products, with_first

CONSTANT = 2.0
"""What stands before a user's factor, so that an item has a level of its own."""


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ItemFoldIn(tf.keras.layers.Layer):
    """<x, w> of a user x = [2, u] and an item's weights w, solved from the support.

    Implicit-feedback least squares (Hu, Koren, Volinsky 2008): of each click of the support, was it
    on this item? With x_s the clicking users, p the weight of a click on another item, 1 + a that
    of one on this, L = diag(l) the prior's precision and m = [0, b v] its mean,

      w = (p sum_s x_s x_s^T + L + a sum_(s on it) x_s x_s^T)^-1 ((1 + a) sum_(s on it) x_s + L m).

    Its c takers are taken for c times their mean user r / c: with M the inverse of the first two
    terms, the same for all items, and z = (1 + a) r + L m, nothing is solved for an item
    (Sherman and Morrison):

      w = M z - M r (a / c) <r, M z> / (1 + (a / c) <r, M r>).

    For an item with one click, that is exact. a, p, l and b are learned.
    """

    def build(self, input_shape: Any) -> None:
        """`input_shape`: of the users' factors, [..., d]."""
        number, d = tf.keras.initializers.Constant, int(input_shape[-1])
        self.log_precision = self.add_weight(
            name="log_precision", shape=[d + 1], initializer=number(5.7)
        )
        self.prior_scale = self.add_weight(name="prior_scale", shape=[d], initializer=number(0.1))
        self.log_confidence = learned_number(self, "log_confidence", 3.0)
        self.log_others = learned_number(self, "log_others", 0.0)
        super().build(input_shape)

    def inverse(self, user: tf.Tensor, clicks: tf.Tensor) -> tf.Tensor:
        """M of B tasks, float32 [B, d + 1, d + 1].

        Args:
          user: float32 [B, S, d], factors of the support's users.
          clicks: float32 [B, S, 1], 1 for a positive pair, else 0.
        """
        x = with_first(user, CONSTANT)
        gram = tf.matmul(clicks * x, x, transpose_a=True)
        left = tf.exp(REACH * self.log_others) * gram
        left += tf.linalg.diag(tf.exp(self.log_precision))
        # In double precision, as in `ScenarioTaste`: one NaN would be every score. And by Cholesky,
        # which makes NaN of what cannot be inverted, for one task, where `inv` fails for all.
        lower = tf.linalg.cholesky(tf.cast(left, tf.float64))
        one = tf.eye(self.log_precision.shape[0], dtype=tf.float64)
        return tf.cast(tf.linalg.cholesky_solve(lower, one), tf.float32)

    def call(
        self,
        inverse: tf.Tensor,
        user: tf.Tensor,
        prior: tf.Tensor,
        takers: tf.Tensor | None,
        count: tf.Tensor,
    ) -> tf.Tensor:
        """<x, w> float32 [B, Q, 1]; users and items may broadcast to pairs (`query_pairs`).

        Args:
          inverse: float32 [B, d + 1, d + 1], M.
          user, prior: float32 [B, Q, d], the asked user's factor, and the item's, v.
          takers: float32 [B, Q, d + 1], r, the sum of x over the item's takers; None: no item has
            any.
          count: float32 [B, Q, 1], c.
        """
        precision = tf.exp(self.log_precision[1:])
        z = with_first(precision * self.prior_scale * prior, 0.0)
        of_user = by_task(with_first(user, CONSTANT), inverse)
        if takers is None:
            return summed_products(of_user, z)
        a, r = tf.exp(REACH * self.log_confidence), takers
        z = (1.0 + a) * r + z
        of_takers = by_task(r, inverse)
        each = a / tf.maximum(count, 1.0)
        shrunken = tf.reduce_sum(of_takers * z, axis=-1, keepdims=True)
        shrunken *= each / (1.0 + each * tf.reduce_sum(of_takers * r, axis=-1, keepdims=True))
        return summed_products(of_user, z - r * shrunken)
