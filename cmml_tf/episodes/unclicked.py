"""Items that a scenario shows and nobody has clicked, where its items have a click or two each.

What a meta-training scenario shows is known by its clicks alone. So an item without one is never
asked as a negative, and one whose clicks are all in the support always is: where items have few
clicks, what the support holds was seldom taken by those who are asked, and a model would learn that
clicks speak against an item. In a service they do not: what it shows and nobody took stands beside.

Were clicks on the N items of a scenario independent, with the same expected number l of each, those
in a share s of its pairs would be Poisson with mean s l, and the same for items that others took
and for those that nobody else did. Of the latter the scenario knows those that have a click in the
support. So each of these is taken for unclicked, its clicks left out, with probability exp(-s l):
as many as there would be. l follows from the mean m of the items that have any,

  m = l / (1 - exp(-l)),   l = m + W(-m exp(-m)),   W: the principal branch of Lambert's function.
"""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from scipy.special import lambertw

SPARSE = 3.0
"""Clicks an item, on average, below which a scenario is sparse; of 3 it lacks a twentieth."""


class UnclickedItems:
    """Which support pairs are left out, so that their items stand for those that nobody clicked.

    Args:
      clicks: Of each scenario int [I], clicks on each of its items.

    Attributes:
      any: Whether a scenario is sparse; of others nothing is left out.
    """

    def __init__(self, clicks: Sequence[np.ndarray]) -> None:
        rates = np.array([expected_clicks(count) for count in clicks], np.float32)
        self.any = bool(np.isfinite(rates).any())
        self._rate = tf.constant(rates)
        self._start = tf.constant(np.cumsum([0, *map(len, clicks[:-1])]))
        self._most = max(map(len, clicks))
        self._clicks = tf.constant(np.concatenate(clicks).astype(np.float32))
        self._pairs = tf.constant([count.sum() for count in clicks], tf.float32)

    def __call__(
        self, scenario: tf.Tensor, position: tf.Tensor, kept: tf.Tensor, stream: tf.Tensor
    ) -> tf.Tensor:
        """bool [B, P]: the pairs of items that are taken for unclicked.

        Args:
          scenario: int64 [B], of B tasks.
          position: int32 [B, P], items of positive support pairs among those of their scenario.
          kept: bool [B, P], which of these pairs, all different, the support has.
          stream: int64 [2], of random numbers.
        """
        tasks = tf.shape(position)[0]
        cells = tasks * self._most
        place = tf.range(tasks)[:, None] * self._most + position
        held = tf.math.unsorted_segment_sum(tf.cast(kept, tf.float32), place, cells)
        start = tf.gather(self._start, scenario)[:, None]
        clicks = tf.gather(self._clicks, start + tf.cast(position, tf.int64))
        nowhere_else = tf.equal(tf.gather(held, place), clicks)
        share = tf.reduce_sum(tf.cast(kept, tf.float32), axis=1) / tf.gather(self._pairs, scenario)
        chance = tf.exp(-share * tf.gather(self._rate, scenario))
        drawn = tf.random.stateless_uniform(tf.stack([tasks, self._most]), stream)
        return nowhere_else & tf.gather(tf.reshape(drawn < chance[:, None], [-1]), place)


def expected_clicks(counts: np.ndarray) -> float:
    """l of a sparse scenario; infinite for one of which nothing is left out.

    That is one that is not sparse, or of which items without a click are known.

    Args:
      counts: int [I], clicks on each of its items.
    """
    mean = float(np.mean(counts))
    if mean >= SPARSE or not np.all(counts):
        return math.inf
    if mean == 1.0:
        return 0.0  # where W is not found
    return float(mean + lambertw(-mean * math.exp(-mean)).real)
