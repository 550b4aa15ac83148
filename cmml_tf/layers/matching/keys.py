"""Identity of ids: equal keys, equal ids, whether a table knows them or not."""

import tensorflow as tf

KEY_FLOATS = 3
_BITS = 24
_MASK = 2**_BITS - 1


def key_to_floats(key: tf.Tensor) -> tf.Tensor:
    """int64 [...] -> float32 [..., KEY_FLOATS], whole numbers that float32 holds exactly.

    Example:

    >>> key_to_floats(tf.constant([5, -1], tf.int64)).numpy().tolist()
    [[5.0, 0.0, 0.0], [16777215.0, 16777215.0, 65535.0]]
    """
    parts = [
        tf.bitwise.bitwise_and(tf.bitwise.right_shift(key, tf.constant(shift, tf.int64)), mask)
        for shift, mask in ((0, _MASK), (_BITS, _MASK), (2 * _BITS, 2**16 - 1))
    ]
    return tf.cast(tf.stack(parts, axis=-1), tf.float32)


def floats_to_key(parts: tf.Tensor) -> tf.Tensor:
    """What `key_to_floats` gave, float32 [..., KEY_FLOATS] -> int64 [...]."""
    low, middle, high = tf.unstack(tf.cast(parts, tf.int64), num=KEY_FLOATS, axis=-1)
    return low + middle * 2**_BITS + tf.bitwise.left_shift(high, tf.constant(2 * _BITS, tf.int64))


def matches(query: tf.Tensor, support: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """The match matrix: int64 keys [B, Q], [B, S] and float32 [B, S] -> float32 [B, Q, S].

    Entry q, s is the weight of support pair s if both keys are the same, else 0.
    """
    return tf.where(query[:, :, None] == support[:, None], weight[:, None], 0.0)
