"""The split: nothing that is asked reaches training, whatever the scenarios share."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmml_tf.config import ScenarioConfig, SplitConfig
from cmml_tf.datasets.interactions import Interactions, without_catalogue
from cmml_tf.datasets.sources.movielens import load_embedded_movielens
from cmml_tf.datasets.tasks.keyed_draws import order_of_ids, order_of_names
from cmml_tf.datasets.tasks.scenarios import find_scenarios
from cmml_tf.datasets.tasks.splits import split_scenarios

BY_COLUMN = ScenarioConfig(definition="column:scenario", min_items=2, min_interactions=4)


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


def _of_scenarios(found, scenarios):
    """All pairs of the log in any of these scenarios."""
    numbers = [found.scenario_names.index(s.name) for s in scenarios]
    pair = found.pair[np.isin(found.scenario, numbers)]
    return _pairs(found.users[pair], found.items[pair])


def _check(found, data):
    """What holds under every protocol that divides users."""
    train = set().union(*(_pairs(s.users, s.items) for s in data.meta_train))
    aside = set().union(*(_pairs(s.aside_users, s.aside_items) for s in data.meta_train))
    background = _pairs(data.background_users, data.background_items)
    history = _pairs(data.history_users, data.history_items)
    test_held = _support(data.meta_test) | _asked(data.meta_test)
    validation_held = _support(data.validation) | _asked(data.validation)
    every = _pairs(found.users, found.items)
    assert not train & (test_held | validation_held)
    assert not background & (test_held | validation_held | train)
    assert not test_held & validation_held
    assert train | background | test_held | validation_held <= every
    assert _pairs(*data.training_pairs()) == train | background
    # What else training knows of a scenario stands beside what is trained on of it.
    if data.protocol == "strict":
        assert aside <= train | background
    for scenario in data.meta_train:
        own = _pairs(scenario.users, scenario.items)
        beside = _pairs(scenario.aside_users, scenario.aside_items)
        assert not own & beside
        assert own | beside >= _of_scenarios(found, [scenario]) & (train | background)

    for scenario in (*data.validation, *data.meta_test):
        assert not np.isin(scenario.support_users, scenario.evaluation_users).any()
    assert train <= history

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
    {"strict": _check_strict, "warm": _check_warm}[data.protocol](found, data, history)
    known = np.zeros(len(data.item_ids), bool)
    known[[item for _, item in train | background]] = True
    assert data.known_items().tolist() == known.tolist()


def _check_strict(found, data, history):
    """No pair of a held-out scenario, by anyone, is anywhere but in support and evaluation."""
    held_out = _of_scenarios(found, (*data.validation, *data.meta_test))
    training = _pairs(*data.training_pairs())
    assert not held_out & (training | history)
    assert history == training
    assert not len(data.evaluation_users)
    # Nothing else is lost: other pairs of the same users and items stay.
    dropped = data.counts["scenarios without support, evaluation or training pairs, dropped"]
    if not dropped:
        assert training == _pairs(found.users, found.items) - held_out
    for scenario in data.meta_train:
        items = {item for _, item in _of_scenarios(found, [scenario]) & training}
        assert set(scenario.candidates.tolist()) == items
    validation_only = _of_scenarios(found, data.validation)
    validation_only -= _of_scenarios(found, data.meta_test)
    assert _support(data.validation) | _asked(data.validation) <= validation_only


def _check_warm(found, data, history):
    known_users = {user for user, _ in history}
    asked_users = {user for user, _ in _asked(data.meta_test) | _asked(data.validation)}
    assert asked_users <= set(data.evaluation_users.tolist())
    assert not set(data.evaluation_users.tolist()) & known_users
    assert _support(data.meta_test) | _support(data.validation) <= history
    every = _pairs(found.users, found.items)
    assert {pair for pair in every if pair[0] in known_users} == history


@pytest.mark.parametrize("protocol", ["strict", "warm"])
@pytest.mark.parametrize("seed", [0, 1])
def test_roles_are_disjoint_on_overlapping_genres(overlapping, seed, protocol):
    split = SplitConfig(protocol=protocol, max_support_pairs=200)
    data = split_scenarios(overlapping, split, seed)
    assert data.protocol == protocol
    _check(overlapping, data)
    assert all(len(s.support_users) <= 200 for s in (*data.validation, *data.meta_test))
    assert data.counts["support pairs beyond max_support_pairs, unused"] > 0
    again = split_scenarios(overlapping, split, seed)
    assert again.fingerprint() == data.fingerprint()


def test_seed_and_protocol_change_the_split(overlapping):
    warm = SplitConfig(protocol="warm")
    splits = [(SplitConfig(), 0), (SplitConfig(), 1), (warm, 0)]
    assert len({split_scenarios(overlapping, *one).fingerprint() for one in splits}) == 3
    # The held-out scenarios are the same under both.
    strict, warm = (split_scenarios(overlapping, one, 0) for one in (SplitConfig(), warm))
    assert [s.name for s in strict.meta_test] == [s.name for s in warm.meta_test]


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 12)), min_size=40),
    seed=st.integers(0, 2**31),
    background=st.sampled_from([0.0, 0.3, 0.5]),
    protocol=st.sampled_from(["strict", "warm"]),
)
def test_roles_are_disjoint_on_any_table(rows, seed, background, protocol):
    table = pd.DataFrame(rows, columns=["scenario", "user", "item"])
    table = table.assign(value=1.0, timestamp=0)
    split = SplitConfig(protocol, background_fraction=background, max_support_pairs=5)
    try:
        found = find_scenarios(Interactions("log", table, without_catalogue()), BY_COLUMN)
        data = split_scenarios(found, split, seed)
    except ValueError:  # too few scenarios or users in this draw
        return
    _check(found, data)


def test_strict_supports_with_one_half_and_asks_the_other():
    """No background is kept in a held-out scenario: all its users take part."""
    found = _table([range(40)] * 12)
    data = split_scenarios(found, SplitConfig(max_support_pairs=10**6), seed=0)
    for scenario in data.meta_test:
        used = _pairs(scenario.support_users, scenario.support_items)
        used |= _pairs(scenario.evaluation_users, scenario.evaluation_items)
        assert used == _of_scenarios(found, [scenario])
    assert data.known_shares() == {"item": 0.0, "user": 1.0, "both": 0.0}
    assert split_scenarios(found, SplitConfig("warm"), seed=0).known_shares()["item"] == 1.0


def test_everybody_is_somewhere_without_background_and_cap(overlapping):
    split = SplitConfig("warm", background_fraction=0.0, max_support_pairs=10**6)
    data = split_scenarios(overlapping, split, seed=0)
    inside = np.zeros(len(overlapping.users), bool)
    inside[overlapping.pair] = True
    outside = _pairs(overlapping.users[~inside], overlapping.items[~inside])
    background = _pairs(data.background_users, data.background_items)
    assert outside <= background
    # What else is background are evaluation users in meta-train scenarios.
    evaluation_users = set(data.evaluation_users.tolist())
    assert {user for user, _ in background - outside} <= evaluation_users


@pytest.mark.parametrize(("protocol", "share"), [("warm", 0.5), ("strict", 0.0)])
def test_a_model_without_pre_trained_embeddings_sets_users_aside_where_warm_needs_them(
    overlapping, protocol, share
):
    left_open = SplitConfig(protocol, background_fraction=None)
    made, said = (
        split_scenarios(overlapping, split, seed=0)
        for split in (left_open, SplitConfig(protocol, background_fraction=share))
    )
    assert made.known_shares() == said.known_shares()
    assert (made.known_shares()["item"] > 0.5) == (protocol == "warm")
    for one, other in zip(made.meta_train, said.meta_train, strict=True):
        np.testing.assert_array_equal(one.users, other.users)


def _table(users_of_scenario):
    rows = [
        (f"s{number}", user, number * 10 + item)
        for number, users in enumerate(users_of_scenario)
        for user in users
        for item in range(5)
    ]
    table = pd.DataFrame(rows, columns=["scenario", "user", "item"]).assign(value=1.0, timestamp=0)
    return find_scenarios(Interactions("log", table, without_catalogue()), BY_COLUMN)


def test_a_draw_is_of_what_it_is_for_alone():
    """Scenarios and users keep their order, and scenarios their draws, whatever else there is."""
    names = [f"s{number}" for number in range(30)]
    ids = np.arange(1000, 1200)
    for drawn, of, few in (
        (order_of_names, names, names[::3]),
        (order_of_ids, ids, ids[::3]),
        (order_of_ids, ids.astype(str).astype(object), ids[::3].astype(str).astype(object)),
    ):
        whole = [of[place] for place in drawn(3, of)]
        part = [few[place] for place in drawn(3, few)]
        assert part == [one for one in whole if one in set(few)]
        assert whole != [of[place] for place in drawn(4, of)]
        assert whole != list(of)
    found = _table([range(40)] * 12)
    data = split_scenarios(found, SplitConfig(), seed=0)
    # A thirteenth scenario of the same users, which is learned from.
    more = replace(
        found,
        scenario_names=(*found.scenario_names, "s99"),
        scenario=np.append(found.scenario, np.full(200, 12, np.int32)),
        pair=np.append(found.pair, np.arange(200, dtype=np.int32)),
    )
    again = {s.name: s for s in split_scenarios(more, SplitConfig(), seed=0).meta_test}
    for scenario in data.meta_test:
        if scenario.name in again:
            np.testing.assert_array_equal(
                scenario.support_users, again[scenario.name].support_users
            )
            np.testing.assert_array_equal(
                scenario.support_items, again[scenario.name].support_items
            )
    assert again


def test_scenario_with_one_user_is_dropped_and_counted():
    found = _table([range(40)] * 12 + [[7]] * 4)
    all_dropped = 0
    for seed in range(4):
        split = SplitConfig(background_fraction=0.0, validation_fraction=0.0)
        data = split_scenarios(found, split, seed)
        kept = {s.name for s in (*data.validation, *data.meta_test)}
        assert not kept & {"s12", "s13", "s14", "s15"}
        total = len(data.meta_train) + len(data.validation) + len(data.meta_test)
        dropped = data.counts["scenarios without support, evaluation or training pairs, dropped"]
        assert total + dropped == 16
        all_dropped += dropped
    assert all_dropped > 0


def test_held_out_scenario_whose_items_but_one_are_in_earlier_ones_is_dropped_and_counted():
    """As tags have it that are given together: what meta-test holds, validation has not."""
    rows = [
        (f"s{number}", user, item if item and number < 10 else 10 * (number + 1))
        for number in range(20)
        for user in range(40)
        for item in range(5)
    ] + [(f"s{number}", user, 500 + number) for number in range(10, 20) for user in range(40)]
    table = pd.DataFrame(rows, columns=["scenario", "user", "item"]).assign(value=1.0, timestamp=0)
    found = find_scenarios(Interactions("log", table, without_catalogue()), BY_COLUMN)
    all_dropped = 0
    for seed in range(4):
        data = split_scenarios(found, SplitConfig(validation_fraction=0.4), seed)
        held_out = *data.validation, *data.meta_test
        assert all(len(scenario.candidates) > 1 for scenario in held_out)
        dropped = data.counts["scenarios without support, evaluation or training pairs, dropped"]
        assert len(held_out) + len(data.meta_train) + dropped == 20
        all_dropped += dropped
    assert all_dropped > 0


def test_only_scenarios_with_one_user_is_an_error():
    found = _table([[user] for user in range(8)])
    with pytest.raises(ValueError, match=r"0 are left.*users who support and users who are asked"):
        split_scenarios(found, SplitConfig(background_fraction=0.0), seed=0)


def test_too_few_scenarios_or_users_is_an_error():
    with pytest.raises(ValueError, match="leave fewer than 2 to learn from"):
        split_scenarios(_table([range(9)] * 3), SplitConfig(), seed=0)
    warm = SplitConfig("warm", evaluation_user_fraction=0.1)
    with pytest.raises(ValueError, match="`evaluation_user_fraction` must leave users"):
        split_scenarios(_table([[1]] * 8), warm, seed=0)
    with pytest.raises(ValueError, match="too few users to divide"):
        split_scenarios(_table([[1]] * 8), SplitConfig(), seed=0)
