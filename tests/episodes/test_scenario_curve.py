"""Support sets of every size: parts of one another, with their negatives, the same questions."""

import numpy as np
import pytest
from episodes.small_data import held_out

from cmml_tf.config import EpisodeConfig
from cmml_tf.episodes.asked.evaluation_episodes import Known
from cmml_tf.episodes.asked.scenario_curve import ScenarioCurve

WAR = [(user, 10 + item) for user in range(5) for item in range(user, 10, 2)]
SCENARIOS = (
    held_out("war", WAR, [(9, 14), (7, 18), (9, 10), (8, 12)], range(10, 20)),
    held_out("noir", [(1, 31), (2, 33), (1, 33)], [(7, 35), (8, 33)], [31, 33, 35]),
)
CONFIG = EpisodeConfig(support_positives=2, support_negatives=3)


@pytest.fixture(scope="module")
def curve():
    return ScenarioCurve.draw(SCENARIOS, CONFIG, seed=0)


def _pairs(episode, label):
    user, item, labels, (length,) = episode.support
    own = (labels[0] == label) & (np.arange(labels.shape[1]) < length)
    return list(zip(user[0][own].tolist(), item[0][own].tolist(), strict=True))


def test_a_support_set_is_the_beginning_of_the_next_larger_one(curve):
    assert curve.sizes == {"0": 0, "1": 1, "2": 2, "4": 4, "8": 8, "16": 16, "all": len(WAR)}
    for draw in range(curve.draws):
        before = [[], []]
        for size in curve.sizes.values():
            tasks = curve.tasks(size, draw)
            for place, (episode, given) in enumerate(zip(tasks, SCENARIOS, strict=True)):
                positives, negatives = _pairs(episode, 1.0), _pairs(episode, 0.0)
                count = min(size, len(given.support_users))
                assert len(positives) == count
                assert positives[: len(before[place])] == before[place]
                # Three negatives for two positives: users of these, in turn, with other items.
                assert len(negatives) == round(1.5 * count)
                for number, (user, item) in enumerate(negatives):
                    positive = positives[number % count]
                    assert user == positive[0]
                    assert item != positive[1]
                    assert item in given.candidates
                before[place] = positives
        for place, given in enumerate(SCENARIOS):
            everything = zip(
                given.support_users.tolist(), given.support_items.tolist(), strict=True
            )
            assert sorted(before[place]) == sorted(everything)


def test_draws_differ_and_the_questions_do_not(curve):
    first, second = curve.tasks(4, 0), curve.tasks(4, 1)
    assert _pairs(first.episode(0), 1.0) != _pairs(second.episode(0), 1.0)
    for one, other in zip(first, curve.tasks(0, 0), strict=True):
        np.testing.assert_array_equal(one.relevant, other.relevant)
        np.testing.assert_array_equal(one.users, other.users)
        assert (other.support.length, other.support.user.shape) == ([0], (1, 1))


def test_first_clicks_stay_first_where_time_counts():
    curve = ScenarioCurve.draw(SCENARIOS, CONFIG, seed=0, in_order=True)
    for draw in range(curve.draws):
        assert _pairs(curve.tasks(4, draw).episode(0), 1.0) == WAR[:4]
    assert _pairs(curve.tasks(4, 0).episode(0), 0.0) != _pairs(curve.tasks(4, 1).episode(0), 0.0)


def test_of_many_users_some_are_asked_the_same_for_every_size_and_known_as_they_are():
    asked = [(user, 10 + user % 10) for user in range(100, 400)]
    known = Known(np.arange(400) % 2 == 0, np.arange(20) < 15)
    crowd = held_out("crowd", WAR, asked, range(10, 20))
    curve = ScenarioCurve.draw([crowd], CONFIG, seed=0, known=known)
    (episode,) = curve.tasks(0, 0)
    assert len(episode.users) == 200
    np.testing.assert_array_equal(episode.user_known, episode.users % 2 == 0)
    assert episode.candidate_known.tolist() == [True] * 5 + [False] * 5
    assert episode.relevant.sum(axis=1).tolist() == [1] * 200


def test_the_file_holds_the_same(curve, tmp_path):
    curve.save(tmp_path / "curve.npz")
    loaded = ScenarioCurve.load(tmp_path / "curve.npz")
    assert loaded.fingerprint() == curve.fingerprint()
    assert loaded.tasks(2, 1).fingerprint() == curve.tasks(2, 1).fingerprint()
    other = ScenarioCurve.draw(SCENARIOS, CONFIG, seed=1)
    assert other.fingerprint() != curve.fingerprint()
