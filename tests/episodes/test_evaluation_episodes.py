"""Evaluation tasks: the same for everyone, from what is allowed to be seen, and on disk."""

import dataclasses

import numpy as np
import pytest
from episodes.small_data import held_out

from cmml_tf.config import EpisodeConfig
from cmml_tf.episodes import EvaluationEpisodes
from cmml_tf.episodes.asked.evaluation_episodes import Known

CONFIG = EpisodeConfig(support_positives=6, support_negatives=8)
SCENARIOS = (
    held_out(
        "war",
        support=[(1, 10), (1, 14), (2, 10), (3, 16), (3, 18), (4, 12), (4, 14), (4, 10)],
        asked=[(9, 14), (7, 18), (9, 10), (8, 12)],
        candidates=range(10, 20, 2),
    ),
    held_out("noir", [(1, 31), (2, 33)], [(7, 35), (8, 33)], [31, 33, 35]),
    held_out("western", [(5, 40), (6, 41), (6, 42)], [(7, 42)], range(40, 50)),
)


@pytest.fixture(scope="module")
def episodes():
    return EvaluationEpisodes.draw(SCENARIOS, CONFIG, seed=0)


def test_what_is_asked_is_each_users_items_among_all_candidates(episodes):
    war = episodes.episode(0)
    assert war.name == "war"
    assert war.users.tolist() == [7, 8, 9]
    assert war.candidates.tolist() == [10, 12, 14, 16, 18]
    expected = [[0, 0, 0, 0, 1], [0, 1, 0, 0, 0], [1, 0, 1, 0, 0]]
    np.testing.assert_array_equal(war.relevant, np.array(expected, bool))
    assert [episode.name for episode in episodes] == ["war", "noir", "western"]
    assert len(episodes) == 3
    assert episodes.episode(2).relevant.sum() == 1


def test_support_comes_from_the_supporting_half(episodes):
    for one, episode in zip(SCENARIOS, episodes, strict=True):
        users, items, labels, length = (array[0] for array in episode.support)
        assert length == len(users) == 14
        np.testing.assert_array_equal(labels, [1.0] * 6 + [0.0] * 8)
        pairs = list(zip(users.tolist(), items.tolist(), strict=True))
        given = set(zip(one.support_users.tolist(), one.support_items.tolist(), strict=True))
        # Without repetition while there are enough; else all of them.
        assert set(pairs[:6]) <= given
        assert len(set(pairs[:6])) == min(6, len(given))
        for place, (user, item) in enumerate(pairs[6:]):
            assert user == pairs[place % 6][0]
            assert item != pairs[place % 6][1]
            assert item in one.candidates
    assert episodes.support_user.dtype == episodes.support_item.dtype == np.int32


def test_swapped_asks_the_same_with_the_support_of_any_other_scenario(episodes):
    own, seen = list(episodes), set()
    for draw in range(20):
        swapped = list(episodes.swapped(draw))
        assert len(swapped) == 3
        for place, episode in enumerate(swapped):
            (source,) = [
                other
                for other, one in enumerate(own)
                if all(map(np.array_equal, episode.support, one.support))
            ]
            seen.add((place, source))
            assert episode.name == own[place].name
            for name in ("users", "candidates", "relevant"):
                np.testing.assert_array_equal(getattr(episode, name), getattr(own[place], name))
    assert seen == {(place, other) for place in range(3) for other in range(3) if place != other}
    again = episodes.swapped(3)
    assert again.fingerprint() == episodes.swapped(3).fingerprint()
    alone = EvaluationEpisodes.draw(SCENARIOS[:1], CONFIG, seed=0)
    with pytest.raises(ValueError, match=r"at least two scenarios\. Received: one"):
        alone.swapped(0)


def test_what_the_embeddings_know_goes_along():
    known = Known(np.arange(20) != 8, np.arange(50) < 15)
    episodes = EvaluationEpisodes.draw(SCENARIOS, CONFIG, seed=0, known=known)
    war = episodes.episode(0)
    assert war.user_known.tolist() == [True, False, True]
    assert war.candidate_known.tolist() == [True, True, True, False, False]
    # Of seven asked pairs two are of user 8, and five of items from 15 on.
    assert episodes.known() == {"users": 5 / 7, "items": 3 / 7}


def test_where_time_counts_the_first_clicks_support():
    first = EvaluationEpisodes.draw(SCENARIOS, CONFIG, seed=0, in_order=True)
    assert first.support_user[0, :6].tolist() == SCENARIOS[0].support_users[:6].tolist()
    assert first.support_item[0, :6].tolist() == SCENARIOS[0].support_items[:6].tolist()


def test_the_seed_fixes_every_draw(episodes):
    again = EvaluationEpisodes.draw(SCENARIOS, CONFIG, seed=0)
    assert again.fingerprint() == episodes.fingerprint()
    other = EvaluationEpisodes.draw(SCENARIOS, CONFIG, seed=1)
    assert other.fingerprint() != episodes.fingerprint()
    # A scenario's draw does not depend on how many others there are.
    fewer = EvaluationEpisodes.draw(SCENARIOS[:2], CONFIG, seed=0)
    np.testing.assert_array_equal(fewer.support_item, episodes.support_item[:2])


def test_the_fingerprint_sees_every_array(episodes):
    for field in dataclasses.fields(episodes):
        changed = getattr(episodes, field.name).copy()
        changed[-1] = "other" if field.name == "names" else 1 - changed[-1]
        other = dataclasses.replace(episodes, **{field.name: changed})
        assert other.fingerprint() != episodes.fingerprint(), field.name


def test_saved_and_loaded_are_equal(episodes, tmp_path):
    file = tmp_path / "meta_test.npz"
    episodes.save(file)
    loaded = EvaluationEpisodes.load(file)
    assert loaded.fingerprint() == episodes.fingerprint()
    np.testing.assert_array_equal(loaded.episode(0).relevant, episodes.episode(0).relevant)
    assert [path.name for path in tmp_path.iterdir()] == ["meta_test.npz"]


def test_a_damaged_file_is_named(episodes, tmp_path):
    file = tmp_path / "meta_test.npz"
    episodes.save(file)
    whole = file.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:60] + bytes([whole[60] ^ 255]) + whole[61:]
    for content in (b"", b"not an archive", whole[:middle], whole[:-1], whole[20:], flipped):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"meta_test\.npz is not a file of evaluation ep.*new"):
            EvaluationEpisodes.load(file)
    with file.open("wb") as opened:
        np.savez(opened, user=np.zeros(3))
    with pytest.raises(ValueError, match=r"is not a file of evaluation episodes"):
        EvaluationEpisodes.load(file)
    with file.open("wb") as opened:
        np.savez(opened, **{**vars(episodes), "names": np.array([{}], object)})
    with pytest.raises(ValueError, match=r"is not a file of evaluation episodes"):
        EvaluationEpisodes.load(file)


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (held_out("bare", [], [(7, 42)], [41, 42]), r"'bare' must have .* Received: 0, 1 and 2"),
        (held_out("mute", [(7, 42)], [], [41, 42]), r"'mute' must have .* Received: 1, 0 and 2"),
        (held_out("one", [(7, 42)], [(8, 42)], [42]), r"'one' must have .* Received: 1, 1 and 1"),
        (held_out("odd", [(7, 42)], [(8, 43)], [41, 42]), r"'odd' asks for items that are not"),
    ],
)
def test_scenarios_that_cannot_be_asked_are_refused(scenario, message):
    with pytest.raises(ValueError, match=message):
        EvaluationEpisodes.draw([*SCENARIOS, scenario], CONFIG, seed=0)


def test_no_scenario_is_refused():
    with pytest.raises(ValueError, match=r"at least one held-out scenario\. Received: none"):
        EvaluationEpisodes.draw([], CONFIG, seed=0)
