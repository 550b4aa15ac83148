"""What an inner step learns from: some support positives, each with a random negative item."""

from typing import NamedTuple

import tensorflow as tf

from cmml_tf.types import Support


class InnerBatch(NamedTuple):
    """P pairs of each of B tasks: int32 [B, P] rows; a positive item beside a negative one."""

    user: tf.Tensor
    positive: tf.Tensor
    negative: tf.Tensor


class InnerBatches:
    """Draws the batches of any inner step from the support sets of B tasks.

    Positives are drawn without repetition, and all of them in turn where there are fewer than P. A
    negative is an item of the task's negative support pairs (random items of the scenario); if it
    is the positive itself, the next one. A support set without negatives lends its positives.
    The same random numbers serve every task, so its batches do not depend on the tasks beside it.

    Args:
      support: `Support` of the B tasks.
      pairs: P.
    """

    def __init__(self, support: Support, pairs: int) -> None:
        valid = tf.sequence_mask(support.length, tf.shape(support.user)[1])
        positive = valid & (support.label > 0.5)
        negative = valid & ~positive
        negative |= positive & ~tf.reduce_any(negative, axis=1, keepdims=True)
        self._pairs = pairs
        self._support = support
        self._positives, self._positive_count = _places(positive)
        self._negatives, self._negative_count = _places(negative)
        self.any = self._positive_count > 0
        """bool [B]: tasks with a positive; without one there is nothing to learn from."""

    def draw(self, key: tf.Tensor) -> InnerBatch:
        """The batch of a random key, int [2]."""
        size = tf.shape(self._positives)[1]
        keys = tf.random.stateless_uniform([size], key)
        beyond = tf.range(size)[None] >= self._positive_count[:, None]
        shuffled = tf.argsort(tf.where(beyond, 2.0, keys[None]), axis=1)  # [B, S]
        turn = tf.range(self._pairs)[None] % tf.maximum(self._positive_count, 1)[:, None]
        chosen = _pick(self._positives, _pick(shuffled, turn))
        item = _pick(self._support.item, chosen)

        share = tf.random.stateless_uniform([self._pairs], tf.stack([key[1], key[0]]))
        count = tf.maximum(self._negative_count, 1)[:, None]
        place = tf.cast(share[None] * tf.cast(count, tf.float32), tf.int32)
        place = tf.minimum(place, count - 1)
        first = self._negative_item(place)
        second = self._negative_item((place + 1) % count)
        other = tf.where(first == item, second, first)
        return InnerBatch(_pick(self._support.user, chosen), item, other)

    def _negative_item(self, place: tf.Tensor) -> tf.Tensor:
        return _pick(self._support.item, _pick(self._negatives, place))


def _places(chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """bool [B, S] -> places of the chosen first, int32 [B, S], and how many they are, [B]."""
    order = tf.argsort(tf.cast(~chosen, tf.int32), axis=1, stable=True)
    return order, tf.reduce_sum(tf.cast(chosen, tf.int32), axis=1)


def _pick(values: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    return tf.gather(values, places, axis=1, batch_dims=1)
