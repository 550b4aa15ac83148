"""The taste of a scenario, in closed form from clicks: one Newton step of their likelihood.

Of n clicks in a scenario, item i gets in expectation n exp(b_i + <w, h_i>) / sum_j (the same), j
over the items that the scenario shows, for the taste w with prior precision diag(l). From w = 0 the
step is

  w = (r n Cov + diag(l))^-1 r (sum_(clicks) h - n mean),   r = 1 / (1 + n / t)

with mean and covariance of h under exp(b). Scenarios also differ in whose taste decides: in one of
disliked items, users take what they like least. So h is followed by K products of the clicking
user and the item, <w', a_u * p_i>, whose weights w' have a learned prior mean m, by which l m is
added on the right. A user's mean and covariance of products over the reference are a_u times those
of p, so that nothing is computed for each user and item.

Items differ in more than h says, so that many clicks tell less than their number (r); t is learned.
What a scenario shows is not known where only clicks are given: the reference is the items that the
support names, refused ones too, and a few of the catalogue, which count together as much as a
learned number of named ones.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cmml_tf.layers.learned_number import REACH, learned_number
from cmml_tf.layers.matching.item_view import ItemView
from cmml_tf.layers.matching.query_pairs import beside, by_task, summed_products


class Taste(NamedTuple):
    """What a scenario likes, in general.

    Attributes:
      weight: float32 [B, T], w.
      product_weight: float32 [B, K], w'.
      center: float32 [B, 1], the mean of b + <w, h> over the reference.
      trust: float32 [B, 1], r.
    """

    weight: tf.Tensor
    product_weight: tf.Tensor
    center: tf.Tensor
    trust: tf.Tensor

    def score(self, item: ItemView) -> tf.Tensor:
        """What anybody in the scenario likes, relative to its items: float32 [B, N, 1]."""
        adapted = item.base + by_task(item.taste, self.weight[..., None])
        return adapted - beside(self.center, item.base)

    def product_score(self, user: tf.Tensor, item: ItemView) -> tf.Tensor:
        """What users of these products [B, N, K] like beside it: float32 [B, N, 1]."""
        return summed_products(user * beside(self.product_weight, user), item.product)


class _Moments(NamedTuple):
    """Sums over the items that stand for the catalogue, weighed by exp(b): the same for all tasks.

    Attributes:
      total: float32 [], of the weights.
      base: float32 [], of b.
      mean: float32 [T + K], the mean of h and p.
      spread: float32 [T + K, T + K], of their products, each less that mean.
    """

    total: tf.Tensor
    base: tf.Tensor
    mean: tf.Tensor
    spread: tf.Tensor


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ScenarioTaste(tf.keras.layers.Layer):
    """Clicks, and a reference to compare them with, to a `Taste`.

    Args:
      products: K.
    """

    def __init__(self, products: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.products = products

    def build(self, input_shape: Any) -> None:
        """`input_shape`: of the taste features, [..., T]."""
        number = tf.keras.initializers.Constant
        self.product_mean = self.add_weight(
            name="product_mean", shape=[self.products], initializer=number(0.1)
        )
        width = int(input_shape[-1]) + self.products
        self.log_precision = learned_number(self, "log_precision", 2.0, [width])
        self.log_clicks = learned_number(self, "log_clicks", 5.0)
        self.log_catalogue = learned_number(self, "log_catalogue", 3.0)
        super().build(input_shape)

    def begin(self, variances: np.ndarray) -> None:
        """Sets the first variances of the weights of the last features, which are the factors.

        Args:
          variances: float [d], above 0.
        """
        width = int(self.log_precision.shape[0]) - self.products
        first = self.log_precision.numpy()
        first[width - len(variances) : width] = -np.log(variances) / REACH
        self.log_precision.assign(first)

    def call(
        self,
        support: ItemView,
        user: tf.Tensor,
        clicks: tf.Tensor,
        named: tf.Tensor,
        catalogue: ItemView,
    ) -> Taste:
        """`Taste` of B tasks.

        Args:
          support: `ItemView` [B, S].
          user: float32 [B, S, K], a of the clicking users.
          clicks: float32 [B, S, 1], 1 for a positive pair, else 0.
          named: float32 [B, S, 1]; over the pairs of an item these sum to 1; padding has 0.
          catalogue: `ItemView` [R], items that stand for the catalogue.
        """
        n = tf.reduce_sum(clicks, axis=1)  # [B, 1]
        trust = 1.0 / (1.0 + n * tf.exp(-REACH * self.log_clicks))
        of_catalogue = self._moments(catalogue)
        weight = named * _likely(support.base)  # [B, S, 1]
        total = of_catalogue.total + tf.reduce_sum(weight, axis=1)
        # All less the catalogue's mean; what the scenario's mean is beside that is `shift`.
        own = tf.concat([support.taste, support.product], axis=-1) - of_catalogue.mean
        weighed = weight * own
        shift = tf.reduce_sum(weighed, axis=1) / total  # [B, T + K]
        spread = of_catalogue.spread + tf.matmul(weighed, own, transpose_a=True)
        spread = spread / total[..., None] - shift[..., None] * shift[:, None]
        # What a click's features are multiplied with: 1 for the taste, the user for products.
        width = support.taste.shape[-1]
        factor = tf.concat([tf.ones_like(support.taste), user], axis=-1)
        active = clicks * factor
        spread *= tf.matmul(active, factor, transpose_a=True)
        moment = tf.reduce_sum(active * (own - shift[:, None]), axis=1)
        precision = tf.exp(REACH * self.log_precision)
        left = trust[..., None] * spread + tf.linalg.diag(precision)
        start = tf.concat([tf.zeros([width]), self.product_mean], axis=0)
        right = trust * moment + precision * start
        # In double precision, as in `solve_ridge`: one NaN would be every score.
        solved = tf.linalg.cholesky_solve(
            tf.linalg.cholesky(tf.cast(left, tf.float64)),
            tf.cast(right[..., None], tf.float64),
        )
        w, of_products = tf.split(
            tf.cast(tf.squeeze(solved, axis=-1), tf.float32), [width, self.products], axis=1
        )
        base = of_catalogue.base + tf.reduce_sum(weight * support.base, axis=1)
        mean = (of_catalogue.mean + shift)[:, :width]
        center = base / total + tf.reduce_sum(mean * w, axis=1, keepdims=True)
        return Taste(w, of_products, center, trust)

    def _moments(self, catalogue: ItemView) -> _Moments:
        each = tf.exp(REACH * self.log_catalogue) / tf.cast(tf.shape(catalogue.base)[0], tf.float32)
        weight = each * _likely(catalogue.base)  # [R, 1]
        total = tf.reduce_sum(weight)
        features = tf.concat([catalogue.taste, catalogue.product], axis=-1)
        mean = tf.reduce_sum(weight * features, axis=0) / total
        features -= mean
        spread = tf.matmul(weight * features, features, transpose_a=True)
        return _Moments(total, tf.reduce_sum(weight * catalogue.base), mean, spread)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "products": self.products}


def _likely(base: tf.Tensor) -> tf.Tensor:
    """exp(b), for b in a range that no base leaves in practice, so that nothing overflows."""
    return tf.exp(tf.clip_by_value(base, -20.0, 20.0))
