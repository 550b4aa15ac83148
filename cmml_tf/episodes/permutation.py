"""Random permutations of 0..n-1 that give any of their values alone, without making a list.

Sampling k of n pairs without repetition then costs the same for a scenario of a hundred pairs and
of ten million. The permutation is a Feistel network over pairs of digits to the base ceil(sqrt n)
(a generalised Feistel cipher); a value that falls outside 0..n-1 is permuted again until it falls
inside, which keeps the mapping one to one (Black and Rogaway, "Ciphers with arbitrary finite
domains", 2002).
"""

import tensorflow as tf

ROUNDS = 6
"""Keys a permutation needs; fewer rounds leave visible correlations for n below ten."""

_MULTIPLIER = 0x2545F4914F6CDD1D
_LOW_31_BITS = 0x7FFFFFFF


def permute(index: tf.Tensor, size: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
    """Values of B random permutations at given places.

    Args:
      index: int64 [B, N], each at least 0 and below the size of its row.
      size: int64 [B], n of each row, at least 1.
      keys: int64 [B, ROUNDS], random bits; equal keys give equal permutations.

    Returns:
      int64 [B, N]; distinct within a row where `index` is distinct.
    """
    base = tf.cast(tf.math.ceil(tf.sqrt(tf.cast(size, tf.float64))), tf.int64)
    value = _shuffle(index, keys[:, None], base[:, None])
    outside = tf.where(value >= size[:, None])  # [K, 2], few: base^2 is little more than n
    row = outside[:, 0]
    keys, base, size = tf.gather(keys, row), tf.gather(base, row), tf.gather(size, row)
    (walked,) = tf.while_loop(
        lambda v: tf.reduce_any(v >= size),
        lambda v: (tf.where(v >= size, _shuffle(v, keys, base), v),),
        (tf.gather_nd(value, outside),),
    )
    return tf.tensor_scatter_nd_update(value, outside, walked)


def _shuffle(value: tf.Tensor, keys: tf.Tensor, base: tf.Tensor) -> tf.Tensor:
    """One pass of the network on values below base^2; the keys' last axis is the round."""
    left = value // base
    right = value - left * base
    for r in range(ROUNDS):
        moved = left + _digit(right, keys[..., r], base)
        left, right = right, tf.where(moved >= base, moved - base, moved)
    return left * base + right


def _digit(value: tf.Tensor, key: tf.Tensor, base: tf.Tensor) -> tf.Tensor:
    """A pseudo-random digit below `base` for each value, by multiply and shift."""
    mixed = (value + key) * _MULTIPLIER
    mixed = tf.bitwise.bitwise_xor(mixed, tf.bitwise.right_shift(mixed, 29)) * _MULTIPLIER
    bits = tf.bitwise.bitwise_and(tf.bitwise.right_shift(mixed, 33), _LOW_31_BITS)
    return tf.bitwise.right_shift(bits * base, 31)
