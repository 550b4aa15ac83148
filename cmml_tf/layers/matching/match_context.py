"""What a support set becomes: numbers of the task, and numbers of each of its pairs."""

from typing import NamedTuple

import tensorflow as tf

from cmml_tf.layers.matching.keys import KEY_FLOATS, floats_to_key, key_to_floats, matches
from cmml_tf.layers.matching.scenario_taste import Taste

_TASK_NUMBERS = 5
_PAIR_NUMBERS = 2 * KEY_FLOATS + 2


class MatchContext(NamedTuple):
    """A context of B tasks, which a query is matched with.

    Pairs that count stand first: there are positives + negatives of them.

    Attributes:
      positives, negatives, distinct: float32 [B], support pairs, and items among the positives.
      taste: What the scenario likes.
      user_key, item_key: int64 [B, S].
      positive, negative: float32 [B, S], 1 where a pair is one; both 0 for padding.
      user: float32 [B, S, d], factors of the support's users, less their mean.
      mean_user: float32 [B, d], that mean, over the positives.
      item: float32 [B, S, d], factors of its items after the support, less their mean.
      inverse: float32 [B, d + 1, d + 1], as `ItemFoldIn.inverse` gives it.
    """

    positives: tf.Tensor
    negatives: tf.Tensor
    distinct: tf.Tensor
    taste: Taste
    user_key: tf.Tensor
    item_key: tf.Tensor
    positive: tf.Tensor
    negative: tf.Tensor
    user: tf.Tensor
    mean_user: tf.Tensor
    item: tf.Tensor
    inverse: tf.Tensor

    def counts(self, user_key: tf.Tensor, item_key: tf.Tensor) -> tf.Tensor:
        """Of keys int64 [B, Q] float32 [B, Q, 3]: the item's positives and negatives, the user's
        positives.
        """
        positive = self.positive[..., None]
        both = tf.concat([positive, self.negative[..., None]], axis=-1)
        of_item = tf.matmul(matches(item_key, self.item_key), both)
        return tf.concat([of_item, tf.matmul(matches(user_key, self.user_key), positive)], axis=-1)

    def pack(self) -> tf.Tensor:
        """One row of numbers a task, float32 [B, task_width + S pair_width].

        The numbers of pairs stand behind those of the task, pair by pair, so that contexts of
        supports of different sizes can be filled up with any finite numbers. What stands behind
        the pairs that count is zero.
        """
        taste = self.taste
        task = tf.stack(
            [self.positives, self.negatives, self.distinct, taste.center, taste.trust], axis=1
        )
        pairs = tf.concat(
            [
                key_to_floats(self.user_key),
                key_to_floats(self.item_key),
                self.positive[..., None],
                self.negative[..., None],
                self.user,
                self.item,
            ],
            axis=-1,
        )
        pairs *= (self.positive + self.negative)[..., None]
        flat = tf.reshape(pairs, [tf.shape(pairs)[0], tf.shape(pairs)[1] * pairs.shape[2]])
        width = self.inverse.shape[-1]
        inverse = tf.reshape(self.inverse, [-1, width * width])
        return tf.concat(
            [task, taste.weight, taste.product_weight, self.mean_user, inverse, flat], axis=1
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
        width = task_width(dimension, features, products)
        task, pairs = packed[:, :width], packed[:, width:]
        side = dimension + 1
        weight, product_weight, mean_user, inverse = tf.split(
            task[:, _TASK_NUMBERS:], [features, products, dimension, side**2], axis=1
        )
        positives, negatives, distinct, center, trust = tf.unstack(
            task[:, :_TASK_NUMBERS], num=_TASK_NUMBERS, axis=1
        )
        each = pair_width(dimension)
        pairs = tf.reshape(pairs, [tf.shape(packed)[0], tf.shape(pairs)[1] // each, each])
        # Servers fill up the shorter of two requests with whatever number stands in it first.
        place = tf.cast(tf.range(tf.shape(pairs)[1]), tf.float32)
        own = place < (positives + negatives)[:, None]
        user_key, item_key, positive, negative, user, item = tf.split(
            tf.where(own[..., None], pairs, 0.0),
            [KEY_FLOATS, KEY_FLOATS, 1, 1, dimension, dimension],
            axis=-1,
        )
        return cls(
            positives=positives,
            negatives=negatives,
            distinct=distinct,
            taste=Taste(weight, product_weight, center, trust),
            user_key=floats_to_key(user_key),
            item_key=floats_to_key(item_key),
            positive=tf.squeeze(positive, axis=-1),
            negative=tf.squeeze(negative, axis=-1),
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
