"""The taste of a scenario, in closed form from clicks: two Newton steps of their likelihood.

Of n clicks in a scenario, item i gets in expectation n exp(b_i + <w, h_i>) / sum_j (the same), j
over the items that the scenario shows, for the taste w with prior mean m and precision diag(l).
From w = 0 the step is

  w = (r n Cov + diag(l))^-1 (r (sum_(clicks) h - n mean) + l m),   r = 1 / (1 + n / t)

with mean and covariance of h under exp(b). Scenarios also differ in whose taste decides: in one of
disliked items, users take what they like least. So h is followed by K products of the clicking
user and the item, <w', a_u * p_i>, whose weights w' have a learned prior mean. A user's mean and
covariance of products over the reference are a_u times those of p, so that nothing is computed for
each user and item. The second step is of w alone, with mean' and covariance' under
exp(b + <w, h> + <w', a * p>) for the mean a of the clicking users, with whom the others' products
add up to nothing:

  w + (r n Cov' + diag(l))^-1 (r (sum_(clicks) h - n mean') + l (m - w)).

There an item is liked e^4 times as much as b says at the most, and e^-4 at the least: where few
items have all of the weight, a covariance of these alone would make the step go too far.

What a scenario shows tells of its taste, as it is put together by what it is about, and so does who
clicks, whose own taste is in the clicks as well. The last d of h are the item's factor; there

  m = s sum_(named) (h - mean of catalogue) / (items + k) + c * (mean factor of the clicking users)

with learned s, k and c; the first part is left out where nothing is refused, since items that were
all taken do not tell what was shown.

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

_FARTHEST = 4.0


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
    """The items that stand for the catalogue, weighed by exp(b): the same for all tasks.

    Attributes:
      weight: float32 [R, 1].
      total: float32 [], the sum of the weights.
      base: float32 [], the weighted sum of b.
      mean: float32 [T + K], the mean of h and p.
      own: float32 [R, T + K], these less their mean.
      spread: float32 [T + K, T + K], the weighted sum of products of `own`.
    """

    weight: tf.Tensor
    total: tf.Tensor
    base: tf.Tensor
    mean: tf.Tensor
    own: tf.Tensor
    spread: tf.Tensor


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ScenarioTaste(tf.keras.layers.Layer):
    """Clicks, and a reference to compare them with, to a `Taste`.

    Args:
      dimension: d.
      products: K.
    """

    def __init__(self, dimension: int, products: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dimension = dimension
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
        self.shown = learned_number(self, "shown", 0.3)
        self.log_shown = learned_number(self, "log_shown", 1.5)
        self.clicking = learned_number(self, "clicking", 0.0, [self.dimension])
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
        clicking: tf.Tensor,
    ) -> Taste:
        """`Taste` of B tasks.

        Args:
          support: `ItemView` [B, S].
          user: float32 [B, S, K], a of the clicking users.
          clicks: float32 [B, S, 1], 1 for a positive pair, else 0.
          named: float32 [B, S, 1]; over the pairs of an item these sum to 1; padding has 0.
          catalogue: `ItemView` [R], items that stand for the catalogue.
          clicking: float32 [B, d], the mean factor of the clicking users, one more zero among them.
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
        start = self._start(own[..., :width], clicks, named, clicking)
        solved = _solved(trust[..., None] * spread, precision, trust * moment + precision * start)
        w, of_products = tf.split(solved, [width, self.products], axis=1)

        mean_user = tf.reduce_sum(clicks * user, axis=1) / tf.maximum(n, 1.0)
        leaning = tf.concat([w, mean_user * of_products], axis=1)
        moment, spread = _moments_toward(leaning, of_catalogue, weight, own, clicks, width)
        precision = precision[:width]
        right = trust * moment + precision * (start[:, :width] - w)
        w += _solved((trust * n)[..., None] * spread, precision, right)

        base = of_catalogue.base + tf.reduce_sum(weight * support.base, axis=1)
        mean = (of_catalogue.mean + shift)[:, :width]
        center = base / total + tf.reduce_sum(mean * w, axis=1, keepdims=True)
        return Taste(w, of_products, center, trust)

    def _start(
        self, own: tf.Tensor, clicks: tf.Tensor, named: tf.Tensor, clicking: tf.Tensor
    ) -> tf.Tensor:
        """The prior mean of all weights: float32 [B, T + K].

        Args:
          own: float32 [B, S, T], h less the catalogue's mean.
          clicks, named, clicking: As of `call`.
        """
        factor = own[..., -self.dimension :]
        items = tf.reduce_sum(named, axis=1)  # [B, 1]
        shown = tf.reduce_sum(named * factor, axis=1) / (items + tf.exp(REACH * self.log_shown))
        refused = tf.cast(tf.reduce_any(named > clicks, axis=1), tf.float32)
        of_factor = REACH * (self.shown * refused * shown + self.clicking * clicking)
        width = own.shape[-1]
        of_products = tf.concat([tf.zeros([width]), self.product_mean], axis=0)
        before = width - self.dimension
        return tf.pad(of_factor, [[0, 0], [before, self.products]]) + of_products

    def _moments(self, catalogue: ItemView) -> _Moments:
        each = tf.exp(REACH * self.log_catalogue) / tf.cast(tf.shape(catalogue.base)[0], tf.float32)
        weight = each * _likely(catalogue.base)  # [R, 1]
        total = tf.reduce_sum(weight)
        features = tf.concat([catalogue.taste, catalogue.product], axis=-1)
        mean = tf.reduce_sum(weight * features, axis=0) / total
        own = features - mean
        spread = tf.matmul(weight * own, own, transpose_a=True)
        base = tf.reduce_sum(weight * catalogue.base)
        return _Moments(weight, total, base, mean, own, spread)

    def get_config(self) -> dict[str, Any]:
        sizes = {"dimension": self.dimension, "products": self.products}
        return {**super().get_config(), **sizes}


def _moments_toward(
    leaning: tf.Tensor,
    catalogue: _Moments,
    weight: tf.Tensor,
    own: tf.Tensor,
    clicks: tf.Tensor,
    width: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Of h where items are liked as `leaning` says: clicks less mean [B, T], covariance [B, T, T].

    Args:
      leaning: float32 [B, T + K], weights of h and p.
      catalogue: Of the items that stand for it.
      weight, own: float32 [B, S, 1] and [B, S, T + K] of the named items, exp(b) and h and p less
        the catalogue's mean.
      clicks: float32 [B, S, 1].
      width: T.
    """
    among, named = catalogue.own[:, :width], own[..., :width]
    liked = catalogue.weight * _leant(tf.matmul(catalogue.own, leaning[..., None]))  # [B, R, 1]
    weight *= _leant(tf.matmul(own, leaning[..., None]))  # [B, S, 1]
    total = tf.reduce_sum(liked, axis=1) + tf.reduce_sum(weight, axis=1)  # [B, 1]
    mean = tf.reduce_sum(liked * among, axis=1) + tf.reduce_sum(weight * named, axis=1)
    mean = (mean / total)[:, None]
    # Less the mean before they are multiplied: what is liked can lie far from the catalogue.
    among, named = among - mean, named - mean
    spread = tf.matmul(liked * among, among, transpose_a=True)
    spread += tf.matmul(weight * named, named, transpose_a=True)
    return tf.reduce_sum(clicks * named, axis=1), spread / total[..., None]


def _leant(preference: tf.Tensor) -> tf.Tensor:
    """How much more an item is liked than its base says, no further than is trusted."""
    return tf.exp(tf.clip_by_value(preference, -_FARTHEST, _FARTHEST))


def _solved(left: tf.Tensor, precision: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """(left + diag(precision))^-1 right, float32 [B, W, W], [W], [B, W] -> [B, W]."""
    # In double precision, as in `solve_ridge`: one NaN would be every score.
    matrix = tf.cast(left + tf.linalg.diag(precision), tf.float64)
    right = tf.cast(right[..., None], tf.float64)
    solved = tf.linalg.cholesky_solve(tf.linalg.cholesky(matrix), right)
    return tf.cast(tf.squeeze(solved, axis=-1), tf.float32)


def _likely(base: tf.Tensor) -> tf.Tensor:
    """exp(b), for b in a range that no base leaves in practice, so that nothing overflows."""
    return tf.exp(tf.clip_by_value(base, -20.0, 20.0))
