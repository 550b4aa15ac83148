"""Users with the first so many of their ratings."""

import numpy as np

from cmml_tf.config import CurveConfig
from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.episodes.asked.asked_users import AskedUsers
from cmml_tf.episodes.asked.user_curve import UserCurve

LENGTHS = np.array([9, 4])
ITEM = np.concatenate([100 * t + np.arange(n) for t, n in enumerate(LENGTHS)]).astype(np.int32)
TASKS = RatingTasks(
    np.int32([0, 1]), np.concatenate([[0], np.cumsum(LENGTHS)]), ITEM, (ITEM % 7).astype(np.float32)
)
ASKED = AskedUsers.of(TASKS, 2, np.array(["a", "b"]), items_known=np.arange(200) != 103)


def test_supports_grow_and_questions_stay():
    curve = UserCurve.of(ASKED, CurveConfig())
    assert curve.draws == 3
    assert curve.sizes == {"0": 0, "1": 1, "2": 2, "5": 5, "all": 7}
    for draw in range(curve.draws):
        before = [[], []]
        for size in curve.sizes.values():
            asked = curve.tasks(size, draw)
            (episode,) = asked.batches()
            np.testing.assert_array_equal(episode.query_item, [[7, 8], [102, 103]])
            np.testing.assert_array_equal(episode.query_label, episode.query_item % 7)
            assert asked.query_item_known.tolist() == [[True, True], [True, False]]
            for user in range(2):
                read = episode.support.item[user, : episode.support.length[user]].tolist()
                assert len(read) == min(size, LENGTHS[user] - 2)
                assert read[: len(before[user])] == before[user]
                before[user] = read
        assert sorted(before[0]) == list(range(7))
        assert (before[0] == list(range(7))) == (draw == 0)
    assert len(UserCurve.of(ASKED, CurveConfig(most_asked=1)).tasks(2, 0)) == 1
    assert ASKED.known() == {"users": 0.0, "items": 0.75}
