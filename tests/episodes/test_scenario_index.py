"""Scenarios as flat arrays: what is kept, left out and refused."""

import numpy as np
import pytest
from episodes.small_data import NONE, random_scenarios, scenario

from cmml_tf.episodes.scenario_index import index_scenarios


def test_pairs_items_and_taken_items_are_those_of_the_scenarios():
    scenarios = random_scenarios(4)
    history = [(user, item) for user in range(0, 30, 3) for item in range(0, 48, 5)]
    history_users, history_items = np.array(history).T
    index = index_scenarios(scenarios, history_users, history_items)
    for place, one in enumerate(scenarios):
        pairs = slice(index.pair_start[place], index.pair_start[place + 1])
        items = index.item_row[index.item_start[place] : index.item_start[place + 1]]
        np.testing.assert_array_equal(items, one.candidates)
        np.testing.assert_array_equal(index.pair_user[pairs], one.users)
        np.testing.assert_array_equal(items[index.pair_position[pairs]], one.items)
        for user, group in zip(index.pair_user[pairs], index.pair_group[pairs], strict=True):
            keys = index.gap_keys[index.group_start[group] : index.group_start[group + 1]]
            taken = items[keys - group * index.stride + np.arange(len(keys))]
            known = {i for u, i in history if u == user and i in one.candidates}
            known |= set(one.items[one.users == user])
            assert taken.tolist() == sorted(known)
    assert (np.diff(index.gap_keys) >= 0).all()
    assert index.pairs_without_negative == 0


def test_users_who_took_every_item_are_left_out_and_counted():
    greedy = [(7, item) for item in range(3)]
    almost = [(8, 0), (8, 1)]
    made = scenario("small", [*greedy, (9, 1), *almost], range(3))
    index = index_scenarios([made], NONE, NONE)
    assert index.pairs_without_negative == 3
    assert index.pair_user.tolist() == [9, 8, 8]


def test_what_a_user_took_elsewhere_counts_as_taken():
    made = scenario("small", [(8, 0), (8, 1), (9, 1), (9, 2)], range(3))
    assert index_scenarios([made], NONE, NONE).pairs_without_negative == 0
    index = index_scenarios([made], np.array([8, 8]), np.array([2, 40]))
    assert index.pairs_without_negative == 2
    assert index.pair_user.tolist() == [9, 9]


def test_a_long_history_is_known_as_a_whole():
    users, items = np.random.default_rng(0).integers(0, [[900], [3000]], (2, 600_000))
    made = scenario("one", [(user, 2 * (user % 40)) for user in range(100, 160)], range(0, 80, 2))
    index = index_scenarios([made], users, items)
    known = set(zip(users.tolist(), items.tolist(), strict=True))
    for user, group in zip(index.pair_user, index.pair_group, strict=True):
        keys = index.gap_keys[index.group_start[group] : index.group_start[group + 1]]
        taken = made.candidates[keys - group * index.stride + np.arange(len(keys))]
        theirs = {*made.items[made.users == user].tolist()}
        theirs |= {item for item in range(0, 80, 2) if (user, item) in known}
        assert taken.tolist() == sorted(theirs)


def test_scenarios_that_give_no_task_are_refused():
    with pytest.raises(ValueError, match=r"at least one meta-training scenario\. Received: none"):
        index_scenarios([], NONE, NONE)
    with pytest.raises(ValueError, match=r"'lonely' has fewer than two items.*`min_items`"):
        index_scenarios([scenario("lonely", [(0, 4), (1, 4)], [4])], NONE, NONE)
    one_pair = scenario("tiny", [(0, 4)], [4, 5])
    with pytest.raises(ValueError, match=r"'tiny' has fewer than two pairs"):
        index_scenarios([one_pair], NONE, NONE)
    all_taken = scenario("full", [(0, 4), (0, 5), (1, 4), (1, 5)], [4, 5])
    with pytest.raises(ValueError, match=r"'full' has fewer than two pairs whose user left"):
        index_scenarios([all_taken], NONE, NONE)
