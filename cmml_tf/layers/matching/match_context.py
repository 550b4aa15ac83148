"""What a support set becomes: numbers of the task, and numbers of each of its pairs."""

from typing import NamedTuple

import tensorflow as tf

from cmml_tf.layers.matching.keys import KEY_FLOATS, floats_to_key, key_to_floats, matches
from cmml_tf.layers.matching.scenario_taste import Taste

AMOUNTS = 5
"""Numbers that say how much there is of a support."""
NUMBERS = 16
"""Numbers of a query pair that add up to its score."""
_SIZES = 3
_TASK_NUMBERS = _SIZES + AMOUNTS + NUMBERS + 2
_PAIR_NUMBERS = 2 * KEY_FLOATS + 2


class MatchContext(NamedTuple):
    """A context of B tasks, which a query is matched with.

    Pairs that count stand first: there are positives + negatives of them.

    Attributes:
      size: float32 [B, 3], positives, negatives, and items among the positives.
      amount: float32 [B, 5], how much there is of the support: a third of log(1 + positives) first.
      weights: float32 [B, 16], what each of the numbers of a query pair counts in its score.
      taste: What the scenario likes.
      user_key, item_key: int64 [B, S].
      signs: float32 [B, S, 2], whether a pair is positive, and whether it is negative; both 0 for
        padding.
      user: float32 [B, S, d], factors of the support's users, less their mean.
      mean_user: float32 [B, d], that mean, over the positives.
      item: float32 [B, S, d], factors of its items after the support, less their mean.
      inverse: float32 [B, d + 1, d + 1], as `ItemFoldIn.inverse` gives it.
    """

    size: tf.Tensor
    amount: tf.Tensor
    weights: tf.Tensor
    taste: Taste
    user_key: tf.Tensor
    item_key: tf.Tensor
    signs: tf.Tensor
    user: tf.Tensor
    mean_user: tf.Tensor
    item: tf.Tensor
    inverse: tf.Tensor

    def pairs(self) -> tf.Tensor:
        """S, int32 scalar."""
        return tf.shape(self.user_key)[1]

    def counts(self, user_key: tf.Tensor, item_key: tf.Tensor) -> tf.Tensor:
        """Of keys int64 [B, Q] float32 [B, Q, 3]: the item's positives and negatives, the user's
        positives.
        """
        of_item = tf.matmul(matches(item_key, self.item_key), self.signs)
        of_user = tf.matmul(matches(user_key, self.user_key), self.signs[..., :1])
        return tf.concat([of_item, of_user], axis=-1)

    def pack(self) -> tf.Tensor:
        """One row of numbers a task, float32 [B, task_width + S pair_width].

        The numbers of pairs stand behind those of the task, pair by pair, so that contexts of
        supports of different sizes can be filled up with any finite numbers. What stands behind
        the pairs that count is zero.
        """
        taste, width = self.taste, self.inverse.shape[-1]
        keys = key_to_floats(self.user_key), key_to_floats(self.item_key)
        pairs = tf.concat([*keys, self.signs, self.user, self.item], axis=-1)
        pairs *= tf.reduce_sum(self.signs, axis=-1, keepdims=True)
        B, S = tf.unstack(tf.shape(self.user_key))
        return tf.concat(
            [
                self.size,
                self.amount,
                self.weights,
                taste.center,
                taste.trust,
                taste.weight,
                taste.product_weight,
                self.mean_user,
                tf.reshape(self.inverse, [-1, width * width]),
                tf.reshape(pairs, tf.stack([B, S * pairs.shape[2]])),
            ],
            axis=1,
        )

    @classmethod
    def unpack(
        cls, packed: tf.Tensor, dimension: int, features: int, products: int
    ) -> "MatchContext":
        """What `pack` gave; what stands behind a task's own pairs is not read.

        Args:
          packed: float32 [B, D]; in D there is room for whole pairs.
          dimension: d.
          features: T, the width of the taste.
          products: K.
        """
        side, each = dimension + 1, pair_width(dimension)
        width = task_width(dimension, features, products)
        sizes = [_SIZES, AMOUNTS, NUMBERS, 1, 1, features, products, dimension, side**2]
        size, amount, weights, center, trust, weight, product_weight, mean_user, inverse = tf.split(
            packed[:, :width], sizes, axis=1
        )
        B, D = tf.unstack(tf.shape(packed))
        S = (D - width) // each
        user_key, item_key, signs, user, item = tf.split(
            tf.reshape(packed[:, width:], tf.stack([B, S, each])),
            [KEY_FLOATS, KEY_FLOATS, 2, dimension, dimension],
            axis=-1,
        )
        # Servers fill up the shorter of two requests with whatever number stands in it first.
        place = tf.range(tf.cast(S, tf.float32))
        own = place < size[:, :1] + size[:, 1:2]
        return cls(
            size=size,
            amount=amount,
            weights=weights,
            taste=Taste(weight, product_weight, center, trust),
            user_key=floats_to_key(user_key),
            item_key=floats_to_key(item_key),
            signs=tf.where(own[..., None], signs, 0.0),
            user=user,
            mean_user=mean_user,
            item=item,
            inverse=tf.reshape(inverse, [-1, side, side]),
        )


def task_width(dimension: int, features: int, products: int) -> int:
    """Numbers of a task in a packed context, for d, T taste features and K products."""
    return _TASK_NUMBERS + features + products + dimension + (dimension + 1) ** 2


def pair_width(dimension: int) -> int:
    """Numbers of a support pair in a packed context."""
    return _PAIR_NUMBERS + 2 * dimension
