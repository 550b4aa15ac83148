"""Identity of ids: equal keys, equal ids, whether a table knows them or not."""

import tensorflow as tf

from cmml_tf.layers.matching.query_pairs import beside

KEY_FLOATS = 3
_SHIFTS = (0, 24, 48)
_MASKS = (2**24 - 1, 2**24 - 1, 2**16 - 1)


def key_to_floats(key: tf.Tensor) -> tf.Tensor:
    """int64 [...] -> float32 [..., KEY_FLOATS], whole numbers that float32 holds exactly.

    Example:

    >>> key_to_floats(tf.constant([5, -1], tf.int64)).numpy().tolist()
    [[5.0, 0.0, 0.0], [16777215.0, 16777215.0, 65535.0]]
    """
    shifted = tf.bitwise.right_shift(key[..., None], tf.constant(_SHIFTS, tf.int64))
    return tf.cast(tf.bitwise.bitwise_and(shifted, tf.constant(_MASKS, tf.int64)), tf.float32)


def floats_to_key(parts: tf.Tensor) -> tf.Tensor:
    """What `key_to_floats` gave, float32 [..., KEY_FLOATS] -> int64 [...]."""
    shifted = tf.bitwise.left_shift(tf.cast(parts, tf.int64), tf.constant(_SHIFTS, tf.int64))
    return tf.reduce_sum(shifted, axis=-1)


def matches(query: tf.Tensor, support: tf.Tensor) -> tf.Tensor:
    """The match matrix: int64 keys [B, ...] and [B, S] -> float32 [B, ..., S], 1 where equal."""
    query = query[..., None]
    return tf.cast(query == beside(support, query), tf.float32)
