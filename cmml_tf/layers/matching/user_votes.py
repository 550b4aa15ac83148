"""Who took an item, seen by a user: the more alike, the more their clicks count."""

from typing import Any

import tensorflow as tf

from cmml_tf.layers.learned_number import REACH, learned_number
from cmml_tf.layers.matching.matched import Matched
from cmml_tf.layers.matching.query_pairs import with_first

_SHARPEST = 24.0
_NOT_A_CLICK = -1e4
"""Added to the exponent of a pair that is no click: its exponential is 0."""


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class UserVotes(tf.keras.layers.Layer):
    """log((m + k) / (c + k)), m = sum over the clicks on the item of a_s, c their number.

    a_s = exp(t cos(u, u_s)), in units of its mean over all clicks of the support, of the asked
    user's factor u and a support user's u_s, each dimension weighed by a learned number; t (from 0
    to 24) and k are learned. A user of whom nothing is known has u = 0, all a_s are 1, and this is
    0.
    """

    def build(self, input_shape: Any) -> None:
        """`input_shape`: of the users' factors, [..., d]."""
        self.scale = self.add_weight(name="scale", shape=[int(input_shape[-1])], initializer="ones")
        self.sharpness = learned_number(self, "sharpness", -1.6)
        self.log_prior_count = learned_number(self, "log_prior_count", 2.0)
        super().build(input_shape)

    def call(
        self,
        user: tf.Tensor,
        support_user: tf.Tensor,
        clicks: tf.Tensor,
        matched: Matched,
        count: tf.Tensor,
    ) -> tf.Tensor:
        """Votes float32 [B, Q, 1]; users and items may broadcast to pairs (`query_pairs`).

        Args:
          user, support_user: float32 [B, N, d], [B, S, d]; N is Q, or 1 for one user.
          clicks: float32 [B, S, 1], 1 for a positive pair, else 0.
          matched: Sums over the support pairs with the query's item.
          count: float32 [B, Q, 1], how many positive ones have it.
        """
        asked = matched.users(user)
        direction = tf.math.l2_normalize(asked * self.scale, axis=-1, epsilon=1e-6)
        clicks, others = matched.clicked(clicks), matched.clicked(support_user)
        others = tf.math.l2_normalize(others * self.scale, axis=-1, epsilon=1e-6)
        # Bounded, so that no exponential overflows; data sets differ in it by a factor of five.
        sharpness = _SHARPEST * tf.sigmoid(REACH * self.sharpness)
        # One number more in both vectors: each pair's exponent has a summand of its own.
        others = tf.concat([_NOT_A_CLICK * (1.0 - clicks), sharpness * others], axis=-1)
        # Support pairs stand first: by item, rows are summed as they are.
        alike = tf.exp(tf.matmul(others, with_first(direction, 1.0), transpose_b=True))  # [B, P, N]
        n = tf.reduce_sum(clicks, axis=1)  # [B, 1]
        share = (n + 1e-6) / (tf.reduce_sum(alike, axis=1) + 1e-6)
        share = matched.as_given(share[..., None])
        votes = matched.on_item(alike) * share
        k = tf.exp(REACH * self.log_prior_count)
        return tf.math.log((votes + k) / (count + k))
