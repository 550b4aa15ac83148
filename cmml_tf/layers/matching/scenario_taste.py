"""The taste of a scenario, in closed form from clicks: one Newton step of their likelihood.

Of n clicks in a scenario, item i gets in expectation n exp(b_i + <w, h_i>) / sum_j (the same), j
over the items that the scenario shows, for the taste w with prior precision diag(l). From w = 0 the
step is

  w = (r n Cov + diag(l))^-1 r (sum_(clicks) h - n mean),   r = 1 / (1 + n / t)

with mean and covariance of h under exp(b). Items differ in more than h says; so many clicks tell
less than their number (r), with t learned. What a scenario shows is not known where only clicks are
given: the reference is the items that the support names, refused ones too, and a few of the
catalogue, which count together as much as a learned number of named ones.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from cmml_tf.layers.learned_number import REACH, learned_number
from cmml_tf.layers.matching.item_view import ItemView


class Taste(NamedTuple):
    """What a scenario likes, in general.

    Attributes:
      weight: float32 [B, T], w.
      center: float32 [B], the mean of b + <w, h> over the reference.
      trust: float32 [B], r.
    """

    weight: tf.Tensor
    center: tf.Tensor
    trust: tf.Tensor

    def score(self, item: ItemView) -> tf.Tensor:
        """What anybody in the scenario likes, relative to its items: float32 [B, N]."""
        adapted = item.base + tf.linalg.matvec(item.taste, self.weight)
        return adapted - self.center[:, None]


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ScenarioTaste(tf.keras.layers.Layer):
    """Clicks, and a reference to compare them with, to a `Taste`."""

    def build(self, input_shape: Any) -> None:
        """`input_shape`: of the taste features, [..., T]."""
        self.log_precision = self.add_weight(
            name="log_precision",
            shape=[int(input_shape[-1])],
            initializer=tf.keras.initializers.Constant(2.0),
        )
        self.log_clicks = learned_number(self, "log_clicks", 5.0)
        self.log_catalogue = learned_number(self, "log_catalogue", 3.0)
        super().build(input_shape)

    def call(
        self, support: ItemView, clicks: tf.Tensor, named: tf.Tensor, catalogue: ItemView
    ) -> Taste:
        """`Taste` of B tasks.

        Args:
          support: `ItemView` [B, S].
          clicks: float32 [B, S], 1 for a positive pair, else 0.
          named: float32 [B, S]; over the pairs of an item these sum to 1; padding has 0.
          catalogue: `ItemView` [R], items that stand for the catalogue.
        """
        n = tf.reduce_sum(clicks, axis=1)
        trust = 1.0 / (1.0 + n * tf.exp(-REACH * self.log_clicks))
        count = tf.cast(tf.shape(catalogue.base)[0], tf.float32)
        each = tf.exp(REACH * self.log_catalogue) / count
        batch = tf.shape(clicks)[0]
        # exp(b) in a range that no base leaves in practice, so that nothing overflows.
        weight = tf.concat(
            [
                named * tf.exp(tf.clip_by_value(support.base, -20.0, 20.0)),
                tf.tile(
                    each * tf.exp(tf.clip_by_value(catalogue.base, -20.0, 20.0))[None], [batch, 1]
                ),
            ],
            axis=1,
        )
        weight /= tf.reduce_sum(weight, axis=1, keepdims=True)
        features = tf.concat([support.taste, tf.tile(catalogue.taste[None], [batch, 1, 1])], axis=1)
        mean = tf.einsum("bn,bnt->bt", weight, features)
        centered = features - mean[:, None]
        spread = tf.matmul(weight[..., None] * centered, centered, transpose_a=True)
        moment = tf.einsum("bs,bst->bt", clicks, support.taste) - n[:, None] * mean
        precision = tf.linalg.diag(tf.exp(self.log_precision))
        left = (trust * n)[:, None, None] * spread + precision
        # In double precision, as in `solve_ridge`: one NaN would be every score.
        solved = tf.linalg.cholesky_solve(
            tf.linalg.cholesky(tf.cast(left, tf.float64)),
            tf.cast((trust[:, None] * moment)[..., None], tf.float64),
        )
        w = tf.cast(tf.squeeze(solved, axis=-1), tf.float32)
        base = tf.concat([support.base, tf.tile(catalogue.base[None], [batch, 1])], axis=1)
        center = tf.reduce_sum(weight * (base + tf.linalg.matvec(features, w)), axis=1)
        return Taste(w, center, trust)
