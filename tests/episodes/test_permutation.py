"""The permutation hits every value once, and every arrangement alike."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from cmml_tf.episodes.permutation import ROUNDS, permute


def _keys(rows, seed=0):
    return np.random.default_rng(seed).integers(-(2**63), 2**63 - 1, (rows, ROUNDS))


def _all_values(size, rows, seed=0):
    """int [rows, size]: a whole permutation of 0..size-1 for each row of keys."""
    index = np.broadcast_to(np.arange(size), (rows, size))
    return permute(tf.constant(index), tf.fill([rows], np.int64(size)), _keys(rows, seed)).numpy()


@pytest.mark.parametrize("size", [*range(1, 40), 99, 100, 101, 1000, 4095, 4096, 4097, 20_011])
def test_one_to_one(size):
    rows = 5
    values = _all_values(size, rows)
    expected = np.broadcast_to(np.arange(size), (rows, size))
    np.testing.assert_array_equal(np.sort(values, axis=1), expected)


def test_one_to_one_for_more_values_than_could_be_listed():
    size = 10**12 + 39
    index = np.random.default_rng(1).choice(size, 2000)[None]
    values = permute(tf.constant(index), tf.constant([size]), _keys(1)).numpy()
    assert values.min() >= 0
    assert values.max() < size
    assert len(np.unique(values)) == len(np.unique(index))
    assert values.mean() == pytest.approx(size / 2, rel=0.1)


def test_rows_have_their_own_size_and_keys():
    sizes = np.array([3, 50, 1000])
    keys = _keys(3)
    index = np.array([[0, 1, 2], [0, 1, 49], [7, 8, 999]])
    together = permute(tf.constant(index), tf.constant(sizes), keys).numpy()
    for row in range(3):
        one = slice(row, row + 1)
        alone = permute(tf.constant(index[one]), tf.constant(sizes[one]), keys[one]).numpy()
        np.testing.assert_array_equal(together[one], alone)


def test_equal_keys_give_equal_permutations_and_other_keys_others():
    np.testing.assert_array_equal(_all_values(50, 2, seed=3), _all_values(50, 2, seed=3))
    assert (_all_values(50, 2, seed=3) != _all_values(50, 2, seed=4)).any()


@pytest.mark.parametrize("size", [2, 5, 10, 37])
def test_every_place_gets_every_value_equally_often(size):
    rows = 20_000
    values = _all_values(size, rows)
    counts = np.array([np.bincount(values[:, place], minlength=size) for place in range(size)])
    chi_square = ((counts - rows / size) ** 2 / (rows / size)).sum()
    degrees = (size - 1) ** 2
    # Within five standard deviations of what chance gives; the keys are fixed.
    assert abs(chi_square - degrees) < 5 * np.sqrt(2 * degrees) + 5


def test_every_arrangement_of_four_is_as_likely():
    rows = 24_000
    arrangements = dict.fromkeys(itertools.permutations(range(4)), 0)
    for row in _all_values(4, rows):
        arrangements[tuple(row.tolist())] += 1
    counts = np.array(list(arrangements.values()))
    # 23 degrees of freedom: the mean 23 plus five standard deviations.
    assert ((counts - 1000) ** 2 / 1000).sum() < 23 + 5 * np.sqrt(46)
