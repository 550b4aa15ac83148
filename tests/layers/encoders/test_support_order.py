"""Interleaving: by label alone, even, stable, and blind to what stands behind the mask."""

import numpy as np
import pytest
import tensorflow as tf
from reference import beyond_the_paper

from cmml_tf.layers.encoders.support_order import interleaved


def labelled(positive):
    """[1, S, 3]: each pair's place, then its one-hot label."""
    positive = np.asarray(positive, np.float32)
    columns = [np.arange(len(positive)), positive, 1 - positive]
    return np.stack(columns, axis=1)[None].astype(np.float32)


def places(positive, mask=None):
    mask = np.ones(len(positive), bool) if mask is None else np.asarray(mask, bool)
    pairs, valid = interleaved(tf.constant(labelled(positive)), tf.constant(mask[None]))
    return pairs.numpy()[0, valid.numpy()[0], 0].astype(int).tolist()


def test_the_usual_support_alternates():
    order = places([1] * 64 + [0] * 128)
    assert order[:6] == [64, 0, 65, 66, 1, 67]
    # One positive in every three, from the first to the last.
    assert all(sum(place < 64 for place in order[i : i + 3]) == 1 for i in range(0, 192, 3))


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_reference_for_any_labels_and_mask(seed):
    rng = np.random.default_rng(seed)
    positive, mask = rng.random(23) < 0.4, rng.random(23) < 0.7
    expected = beyond_the_paper.interleaved(labelled(positive)[0], positive, mask)
    assert places(positive, mask) == expected[:, 0].astype(int).tolist()


def test_order_within_a_label_is_kept():
    order = places([0, 1, 0, 0, 1, 1, 0])
    assert [place for place in order if place in (1, 4, 5)] == [1, 4, 5]
    assert [place for place in order if place not in (1, 4, 5)] == [0, 2, 3, 6]


def test_one_label_alone_keeps_the_given_order():
    assert places([1] * 5) == [0, 1, 2, 3, 4]
    assert places([0] * 5) == [0, 1, 2, 3, 4]


def test_valid_pairs_come_first_whatever_the_padding_says():
    mask = [1, 0, 1, 0, 1, 1]
    assert places([1, 1, 0, 1, 0, 1], mask) == places([1, 0, 0, 0, 0, 1], mask)
    _, valid = interleaved(tf.constant(labelled([1, 0, 1])), tf.constant([[False, True, False]]))
    np.testing.assert_array_equal(valid, [[True, False, False]])


def test_places_do_not_overflow_for_thousands_of_pairs():
    order = places([1] * 3000 + [0] * 3000)
    assert order[0] in (0, 3000)
    assert abs(sum(place < 3000 for place in order[:3000]) - 1500) <= 1
