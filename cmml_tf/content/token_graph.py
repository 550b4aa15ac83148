"""The tokens of values inside a TensorFlow graph; the counterpart of `tokens`."""

from typing import NamedTuple

import tensorflow as tf

from cmml_tf.content.characters import (
    BASES,
    DROPPED,
    MOST_CHARACTERS,
    PRIME,
    folded_letters,
    powers,
)
from cmml_tf.content.tokens import GRAMS

SEPARATOR = "|"


class TokenTensors(NamedTuple):
    """Tokens of N values: `key` int64 [m], `of_row` int64 [m]."""

    key: tf.Tensor
    of_row: tf.Tensor


def whole_values(values: tf.Tensor) -> TokenTensors:
    """Each of string [N] as one token; none of an empty one."""
    present = tf.where(tf.not_equal(values, ""))[:, 0]
    return TokenTensors(_whole_keys(tf.gather(values, present)), present)


def members(values: tf.Tensor) -> TokenTensors:
    """Each member of string [N], between which | stands, as one token."""
    parts = tf.strings.split(values, SEPARATOR)
    found = whole_values(parts.values)
    return TokenTensors(found.key, tf.gather(parts.value_rowids(), found.of_row))


def words(texts: tf.Tensor) -> TokenTensors:
    """The words of string [N]."""
    letter, of_row = _padded_letters(texts)
    inside = letter > 0
    starts_here = inside & tf.equal(tf.roll(letter, 1, 0), 0)
    starts = tf.where(starts_here)[:, 0]
    of_word = tf.cumsum(tf.cast(starts_here, tf.int64)) - 1
    key = _keys(tf.boolean_mask(letter, inside), tf.boolean_mask(of_word, inside), tf.size(starts))
    return TokenTensors(key, tf.gather(of_row, starts))


def grams(texts: tf.Tensor) -> TokenTensors:
    """Runs of 3 and of 4 characters of string [N], within a word and its two ends."""
    letter, of_row = _padded_letters(texts)
    keys, rows = [], []
    table = tf.constant(powers(max(GRAMS)))
    for length in GRAMS:
        number = tf.maximum(tf.size(letter) - length + 1, 0)
        run = [letter[j : j + number] for j in range(length)]
        fits = tf.equal(of_row[:number], of_row[length - 1 : length - 1 + number])
        for inner in run[1:-1]:
            fits &= inner > 0
        halves = []
        for base in range(len(BASES)):
            total = tf.add_n([(letters + 1) * table[base, j] for j, letters in enumerate(run)])
            halves.append(total % PRIME)
        key = halves[0] * 2**31 + halves[1]
        keys.append(tf.boolean_mask(key, fits))
        rows.append(tf.boolean_mask(of_row[:number], fits))
    return TokenTensors(tf.concat(keys, 0), tf.concat(rows, 0))


def _whole_keys(values: tf.Tensor) -> tf.Tensor:
    """int64 [N] of string [N]."""
    codes = _decoded(values)
    return _keys(tf.cast(codes.values, tf.int64), codes.value_rowids(), codes.nrows())


def _keys(codes: tf.Tensor, of_string: tf.Tensor, strings: tf.Tensor) -> tf.Tensor:
    first = tf.searchsorted(of_string, tf.range(tf.cast(strings, tf.int64)))
    place = tf.range(tf.size(codes)) - tf.gather(first, of_string)
    table = tf.constant(powers(MOST_CHARACTERS + 2))
    halves = []
    for base in range(len(BASES)):
        terms = (codes + 1) * tf.gather(table[base], place)
        halves.append(tf.math.unsorted_segment_sum(terms, of_string, strings) % PRIME)
    return halves[0] * 2**31 + halves[1]


def _padded_letters(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    codes = _decoded(texts)
    table = tf.constant(folded_letters())
    behind = tf.size(table)
    letter = tf.where(
        codes.values < behind,
        tf.gather(table, tf.minimum(codes.values, behind - 1)),
        codes.values,
    )
    kept = tf.ragged.boolean_mask(
        codes.with_values(tf.cast(letter, tf.int64)),
        codes.with_values(tf.not_equal(letter, DROPPED)),
    )
    end = tf.zeros([codes.nrows(), 1], tf.int64)
    padded = tf.concat([end, kept, end], axis=1)
    return padded.values, padded.value_rowids()


def _decoded(values: tf.Tensor) -> tf.RaggedTensor:
    codes = tf.strings.unicode_decode(values, "UTF-8")
    return codes[:, :MOST_CHARACTERS]
