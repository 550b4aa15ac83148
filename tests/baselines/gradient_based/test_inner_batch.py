"""Inner batches hold support positives, each with a random negative item of the support."""

import numpy as np
import tensorflow as tf
from baselines.small_tasks import NEGATIVES, POSITIVES, tasks

from cmml_tf.baselines.gradient_based.inner_batch import InnerBatches


def drawn(support, pairs, key=(3, 5)):
    """The batch as NumPy arrays."""
    return [part.numpy() for part in InnerBatches(support, pairs).draw(tf.constant(key, tf.int64))]


def test_a_batch_smaller_than_the_support_repeats_no_pair():
    support = tasks(count=5).support
    for key in range(20):
        user, item, _ = drawn(support, POSITIVES - 2, (0, key))
        for row in range(5):
            known = zip(support.user[row].numpy(), support.item[row].numpy(), strict=True)
            positives = list(known)[:POSITIVES]
            for pair in zip(user[row], item[row], strict=True):
                positives.remove(pair)  # fails for a pair drawn more often than it stands there


def test_a_larger_batch_takes_all_pairs_in_turn():
    support = tasks(count=2).support
    user, item, _ = drawn(support, 2 * POSITIVES)
    for row in range(2):
        expected = [tuple(pair) for pair in tf.stack(support[:2], axis=2)[row, :POSITIVES].numpy()]
        assert sorted(zip(user[row], item[row], strict=True)) == sorted(2 * expected)


def test_negatives_are_the_supports_negative_items_and_not_the_positive_itself():
    support = tasks(count=4).support
    seen = [set() for _ in range(4)]
    for key in range(50):
        _, item, negative = drawn(support, POSITIVES, (0, key))
        for row in range(4):
            seen[row] |= set(negative[row])
        assert np.mean(item == negative) < 0.1  # only where two of the same item follow each other
    for row in range(4):
        assert seen[row] == set(support.item[row, POSITIVES:].numpy())


def test_padding_is_never_drawn_and_an_empty_support_is_told():
    whole = tasks(count=3, lengths=[0, POSITIVES + 2, POSITIVES]).support
    label = tf.tensor_scatter_nd_update(whole.label, [[1, POSITIVES + NEGATIVES - 1]], [1.0])
    support = whole._replace(label=label)
    assert InnerBatches(support, 4).any.numpy().tolist() == [False, True, True]
    for key in range(20):
        _, item, negative = drawn(support, POSITIVES, (1, key))
        assert set(item[1]) <= set(support.item[1, :POSITIVES].numpy())
        assert set(negative[1]) <= set(support.item[1, POSITIVES : POSITIVES + 2].numpy())
        assert set(negative[2]) <= set(support.item[2, :POSITIVES].numpy())  # lent by positives


def test_a_key_fixes_the_batch_and_neighbours_do_not_matter():
    support = tasks(count=3).support
    alone = tf.nest.map_structure(lambda tensor: tensor[1:2], support)
    for whole, single, again in zip(
        drawn(support, 4), drawn(alone, 4), drawn(support, 4), strict=True
    ):
        np.testing.assert_array_equal(whole[1:2], single)
        np.testing.assert_array_equal(whole, again)
    assert not np.array_equal(drawn(support, 4, (3, 6))[1], drawn(support, 4)[1])
