"""Training tasks of the user setting as a `tf.data` pipeline, one function of (seed, step)."""

import numpy as np
import tensorflow as tf

from cmml_tf.config.rating import RatingEpisodeConfig
from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.episodes.permutation import ROUNDS, permute
from cmml_tf.types import Episode, Support

# Streams of random numbers within a step: a new use takes a new number.
_USERS, _ORDER, _CUT, _LENGTH = range(4)


class RatingEpisodeSampler:
    """Draws the tasks of any training step, without the steps before it.

    Every user comes once before any comes again. At each visit a user's ratings are divided anew
    into query and support; a share of the supports is cut to a random length, short ones as likely
    as long ones on a logarithmic scale, so that the model learns to predict from few ratings, too.

    Args:
      tasks: Users to learn from.
      query: Query ratings of a task.
      config: Tasks of a step, and the share of short supports.
      seed: With the step, fixes every draw.

    Raises:
      ValueError: A task has no rating left for its support.
    """

    def __init__(
        self, tasks: RatingTasks, query: int, config: RatingEpisodeConfig, seed: int
    ) -> None:
        if tasks.lengths.min() <= query:
            raise ValueError(
                f"Every task must have more ratings than its query ({query}). "
                f"Received: a task of {tasks.lengths.min()}."
            )
        size = int(tasks.lengths.max())
        inside = np.arange(size) < tasks.lengths[:, None]
        self._item = tf.constant(_padded(tasks.item, inside))  # [T, size]
        self._rating = tf.constant(_padded(tasks.rating, inside))
        self._user = tf.constant(tasks.user)
        self._length = tf.constant(tasks.lengths.astype(np.int32))
        self._size = size
        self._query = query
        self._config = config
        self._seed = seed

    def sample(self, step: tf.Tensor) -> Episode:
        """The tasks of a step.

        Args:
          step: int64 scalar, from 0.

        Returns:
          An `Episode` of `tasks_per_step` tasks, padded to the longest task of all.
        """
        B, Q = self._config.tasks_per_step, self._query
        task = self._choose_tasks(step)
        length = tf.gather(self._length, task)
        order = self._random(step, _ORDER, [B, self._size])
        order += tf.cast(~tf.sequence_mask(length, self._size), tf.float32)  # padding comes last
        order = tf.argsort(order, axis=1)
        item = tf.gather(tf.gather(self._item, task), order, batch_dims=1)
        rating = tf.gather(tf.gather(self._rating, task), order, batch_dims=1)
        user = tf.repeat(tf.gather(self._user, task)[:, None], self._size, axis=1)
        support = Support(user[:, Q:], item[:, Q:], rating[:, Q:], self._cut(step, length - Q))
        return Episode(support, user[:, :Q], item[:, :Q], rating[:, :Q])

    def _choose_tasks(self, step: tf.Tensor) -> tf.Tensor:
        """int64 [B]: the next places in a sequence of shuffled rounds over all users."""
        B, T = self._config.tasks_per_step, len(self._user)
        place = step * B + tf.range(B, dtype=tf.int64)
        lap = place // T
        keys = tf.map_fn(
            lambda one: tf.random.stateless_uniform(
                [ROUNDS], [self._seed * 4 + _USERS, one], None, None, tf.int64
            ),
            lap,
        )
        size = tf.fill([B], tf.constant(T, tf.int64))
        return tf.squeeze(permute((place % T)[:, None], size, keys), axis=1)

    def _cut(self, step: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Support lengths int32 [B], some of them shorter."""
        B = self._config.tasks_per_step
        full = tf.cast(length, tf.float32)
        drawn = tf.exp(self._random(step, _LENGTH, [B]) * tf.math.log(full + 1.0)) - 1.0
        cut = self._random(step, _CUT, [B]) < self._config.short_supports
        return tf.cast(tf.where(cut, tf.floor(drawn), full), tf.int32)

    def _random(self, step: tf.Tensor, stream: int, shape: list[int]) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, [self._seed * 4 + stream, step])


def _padded(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    padded = np.zeros(inside.shape, values.dtype)
    padded[inside] = values
    return padded
