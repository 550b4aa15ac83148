"""The protocol: nothing that is asked reaches training, whatever the scenarios share."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmml_tf.config import ScenarioConfig, SplitConfig
from cmml_tf.datasets.interactions import Interactions, without_catalogue
from cmml_tf.datasets.sources.movielens import load_embedded_movielens
from cmml_tf.datasets.tasks.scenarios import find_scenarios
from cmml_tf.datasets.tasks.splits import split_scenarios


@pytest.fixture(scope="module")
def overlapping():
    config = ScenarioConfig(definition="genre", max_items=3000)
    return find_scenarios(load_embedded_movielens(), config)


def _pairs(users, items):
    return set(zip(users.tolist(), items.tolist(), strict=True))


def _support(scenarios):
    return set().union(*(_pairs(s.support_users, s.support_items) for s in scenarios))


def _asked(scenarios):
    return set().union(*(_pairs(s.evaluation_users, s.evaluation_items) for s in scenarios))


def _check(found, data):
    train = set().union(*(_pairs(s.users, s.items) for s in data.meta_train))
    background = _pairs(data.background_users, data.background_items)
    history = _pairs(data.history_users, data.history_items)
    test_held = _support(data.meta_test) | _asked(data.meta_test)
    validation_held = _support(data.validation) | _asked(data.validation)
    every = _pairs(found.users, found.items)
    assert not train & (test_held | validation_held)
    assert not background & (test_held | validation_held | train)
    assert not test_held & validation_held
    assert train | background | test_held | validation_held <= every

    asked_users = {user for user, _ in _asked(data.meta_test) | _asked(data.validation)}
    known_users = {user for user, _ in history}
    assert not asked_users & known_users
    assert train <= history
    assert _support(data.meta_test) | _support(data.validation) <= history
    assert {pair for pair in every if pair[0] in known_users} == history

    names = [s.name for s in (*data.meta_train, *data.validation, *data.meta_test)]
    assert len(set(names)) == len(names)
    for scenario in data.meta_train:
        assert np.isin(scenario.items, scenario.candidates).all()
    for scenario in (*data.validation, *data.meta_test):
        assert len(scenario.support_users)
        assert len(scenario.evaluation_users)
        assert np.isin(scenario.support_items, scenario.candidates).all()
        assert np.isin(scenario.evaluation_items, scenario.candidates).all()
        assert (np.diff(scenario.candidates) > 0).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_roles_are_disjoint_on_overlapping_genres(overlapping, seed):
    split = SplitConfig(max_support_pairs=200)
    data = split_scenarios(overlapping, split, seed)
    _check(overlapping, data)
    assert all(len(s.support_users) <= 200 for s in (*data.validation, *data.meta_test))
    assert data.counts["support pairs beyond max_support_pairs, unused"] > 0
    again = split_scenarios(overlapping, split, seed)
    assert again.fingerprint() == data.fingerprint()


def test_seed_changes_the_split(overlapping):
    first, second = (split_scenarios(overlapping, SplitConfig(), seed) for seed in (0, 1))
    assert first.fingerprint() != second.fingerprint()


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 12)), min_size=40),
    seed=st.integers(0, 2**31),
    background=st.sampled_from([0.0, 0.3, 0.5]),
)
def test_roles_are_disjoint_on_any_table(rows, seed, background):
    table = pd.DataFrame(rows, columns=["scenario", "user", "item"])
    table = table.assign(value=1.0, timestamp=0)
    config = ScenarioConfig(definition="column:scenario", min_items=2, min_interactions=4)
    split = SplitConfig(background_fraction=background, max_support_pairs=5)
    try:
        found = find_scenarios(Interactions("log", table, without_catalogue()), config)
        data = split_scenarios(found, split, seed)
    except ValueError:  # too few scenarios or users in this draw
        return
    _check(found, data)


def test_everybody_is_somewhere_without_background_and_cap(overlapping):
    split = SplitConfig(background_fraction=0.0, max_support_pairs=10**6)
    data = split_scenarios(overlapping, split, seed=0)
    inside = np.zeros(len(overlapping.users), bool)
    inside[overlapping.pair] = True
    outside = _pairs(overlapping.users[~inside], overlapping.items[~inside])
    background = _pairs(data.background_users, data.background_items)
    assert outside <= background
    asked_users = {user for user, _ in _asked(data.meta_test) | _asked(data.validation)}
    # What else is background are evaluation users in meta-train scenarios.
    assert {user for user, _ in background - outside} <= asked_users


def _table(users_of_scenario):
    rows = [
        (f"s{number}", user, number * 10 + item)
        for number, users in enumerate(users_of_scenario)
        for user in users
        for item in range(5)
    ]
    table = pd.DataFrame(rows, columns=["scenario", "user", "item"]).assign(value=1.0, timestamp=0)
    config = ScenarioConfig(definition="column:scenario", min_items=2, min_interactions=4)
    return find_scenarios(Interactions("log", table, without_catalogue()), config)


def test_scenario_with_one_user_is_dropped_and_counted():
    found = _table([range(40)] * 12 + [[7]] * 4)
    split = SplitConfig(background_fraction=0.0)
    all_dropped = 0
    for seed in range(4):
        data = split_scenarios(found, split, seed)
        kept = {s.name for s in (*data.validation, *data.meta_test)}
        assert not kept & {"s12", "s13", "s14", "s15"}
        total = len(data.meta_train) + len(data.validation) + len(data.meta_test)
        dropped = data.counts["scenarios without support, evaluation or training pairs, dropped"]
        assert total + dropped == 16
        all_dropped += dropped
    assert all_dropped > 0


def test_only_scenarios_with_one_user_is_an_error():
    found = _table([[user] for user in range(8)])
    with pytest.raises(ValueError, match=r"0 are left.*users who support and users who are asked"):
        split_scenarios(found, SplitConfig(background_fraction=0.0), seed=0)


def test_too_few_scenarios_or_users_is_an_error():
    with pytest.raises(ValueError, match="leave fewer than 2 to learn from"):
        split_scenarios(_table([range(9)] * 3), SplitConfig(), seed=0)
    with pytest.raises(ValueError, match="`evaluation_user_fraction` must leave users"):
        split_scenarios(_table([[1]] * 8), SplitConfig(evaluation_user_fraction=0.1), seed=0)
