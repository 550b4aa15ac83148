"""Users and items hidden in training, so that ids of which little is known are met there too."""

from collections.abc import Callable

import tensorflow as tf

from cmml_tf.types import Episode

_ITEM_SHARES = (0.15, 0.5, 1.0)
_USER_SHARES = (0.15, 0.5, 1.0)
_TASKS_WITH_ITEMS_HIDDEN = 0.45
_TASKS_WITH_USERS_HIDDEN = 0.45
_TASKS_WITHOUT_CONTENT = 0.2
_MIXERS = (-4658895280553007687, -7723592293110705685)  # of splitmix64, as signed numbers


class Hiding:
    """Keys of some users and items of a training task moved to rows that know less of them.

    A table of 2 N rows: row k + N knows of row k what its content says, no more. A hidden key k
    becomes k + N or, where content is hidden as well, k + 2 N, which is in no table. What is hidden
    depends on the seed, the step, the task and the key alone, so that support and query agree.

    Args:
      users, items: N, of each table.
      seed: With the step, fixes every draw.
    """

    def __init__(self, users: int, items: int, seed: int) -> None:
        self._users = users
        self._items = items
        self._seed = seed

    def __call__(self, episode: Episode, step: tf.Tensor) -> Episode:
        """The episode of a step with keys hidden; int64 keys below N in all fields."""
        support = episode.support
        tasks = tf.shape(support.length)[0]
        counter = tf.cast(step, tf.int64)
        drawn = tf.random.stateless_uniform([8, tasks], tf.stack([self._seed * 4 + 3, counter]))
        salt = tf.random.stateless_uniform(
            [2, tasks], tf.stack([self._seed * 4 + 3, -1 - counter]), None, None, tf.int64
        )
        user = self._moved(self._users, drawn[:4], salt[0], _TASKS_WITH_USERS_HIDDEN, _USER_SHARES)
        item = self._moved(self._items, drawn[4:], salt[1], _TASKS_WITH_ITEMS_HIDDEN, _ITEM_SHARES)
        return Episode(
            support._replace(user=user(support.user), item=item(support.item)),
            user(episode.query_user),
            item(episode.query_item),
            episode.query_label,
        )

    def hides(self, item: tf.Tensor) -> tf.Tensor:
        """Which of an episode's item keys were moved: bool, as `item`."""
        return item >= self._items

    def _moved(
        self,
        rows: int,
        drawn: tf.Tensor,
        salt: tf.Tensor,
        tasks_hidden: float,
        shares: tuple[float, ...],
    ) -> Callable[[tf.Tensor], tf.Tensor]:
        share = tf.gather(tf.constant(shares), tf.cast(drawn[1] * len(shares), tf.int32))
        share = tf.where(drawn[0] < tasks_hidden, share, 0.0)
        shift = tf.where(drawn[2] < _TASKS_WITHOUT_CONTENT, 2, 1) * rows
        shift = tf.cast(shift, tf.int64)

        def moved(key: tf.Tensor) -> tf.Tensor:
            key = tf.cast(key, tf.int64)
            hidden = _uniform(key, salt[:, None]) < share[:, None]
            return tf.where(hidden, key + shift[:, None], key)

        return moved


def _uniform(key: tf.Tensor, salt: tf.Tensor) -> tf.Tensor:
    """A number in [0, 1) for each key, by the finaliser of splitmix64 (Steele et al. 2014)."""
    mixed = key + salt
    for shift, factor in zip((30, 27), _MIXERS, strict=True):
        mixed = tf.bitwise.bitwise_xor(mixed, _shifted(mixed, shift)) * factor
    mixed = tf.bitwise.bitwise_xor(mixed, _shifted(mixed, 31))
    return tf.cast(_shifted(mixed, 40), tf.float32) / 2.0**24


def _shifted(value: tf.Tensor, bits: int) -> tf.Tensor:
    """A logical shift to the right of int64."""
    unsigned = tf.bitwise.right_shift(tf.cast(value, tf.uint64), tf.constant(bits, tf.uint64))
    return tf.cast(unsigned, tf.int64)
