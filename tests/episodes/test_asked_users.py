"""Evaluation tasks of the user setting: what is asked, another user's support, and the file."""

import numpy as np
import pytest

from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.episodes.asked.asked_users import AskedUsers

LENGTHS = np.array([5, 9, 4, 7])
# An item tells its user and place, a rating its item.
ITEM = np.concatenate([100 * t + np.arange(n) for t, n in enumerate(LENGTHS)]).astype(np.int32)
TASKS = RatingTasks(
    np.int32([3, 1, 0, 2]),
    np.concatenate([[0], np.cumsum(LENGTHS)]),
    ITEM,
    (ITEM % 7 + ITEM // 100).astype(np.float32),
)
ASKED = AskedUsers.of(TASKS, 2, np.array(["zero", "one", "two", "three"]))


def test_the_last_ratings_of_each_user_are_asked():
    first, second = ASKED.batches(batch=3)
    np.testing.assert_array_equal(first.query_item, [[3, 4], [107, 108], [202, 203]])
    np.testing.assert_array_equal(second.query_item, [[305, 306]])
    np.testing.assert_array_equal(first.support.length, [3, 7, 2])
    np.testing.assert_array_equal(first.support.item[1], range(100, 107))
    assert ASKED.names.tolist() == ["three", "one", "zero", "two"]


def test_swapped_support_is_another_users_and_the_question_the_same():
    (own,) = ASKED.batches()
    seen = set()
    for draw in range(40):
        (changed,) = ASKED.swapped(draw).batches()
        np.testing.assert_array_equal(changed.query_item, own.query_item)
        np.testing.assert_array_equal(changed.query_label, own.query_label)
        length, item = changed.support.length, changed.support.item
        # The profile stays.
        assert (changed.support.user == ASKED.user[:, None]).all()
        for place in range(4):
            other = item[place, 0] // 100
            assert (
                item[place, : length[place]].tolist()
                == own.support.item[other, : own.support.length[other]].tolist()
            )
            seen.add((place, int(other)))
    assert seen == {(place, other) for place in range(4) for other in range(4) if place != other}


def test_one_user_cannot_be_swapped():
    alone = AskedUsers.of(TASKS.take([0]), 2, np.array(["zero", "one", "two", "three"]))
    with pytest.raises(ValueError, match="at least two users"):
        alone.swapped(0)


def test_the_file_holds_the_same_users_and_a_damaged_one_is_named(tmp_path):
    ASKED.save(tmp_path / "asked.npz")
    again = AskedUsers.load(tmp_path / "asked.npz")
    assert again.fingerprint() == ASKED.fingerprint()
    assert again.batches()[0].query_item.tolist() == ASKED.batches()[0].query_item.tolist()
    changed = AskedUsers.of(TASKS.take([1, 0, 2, 3]), 2, np.array(["a", "b", "c", "d"]))
    assert changed.fingerprint() != ASKED.fingerprint()
    content = (tmp_path / "asked.npz").read_bytes()
    (tmp_path / "asked.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"asked\.npz is not a file of evaluation episodes"):
        AskedUsers.load(tmp_path / "asked.npz")
