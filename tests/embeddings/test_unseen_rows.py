"""Rows of training scenarios by fits that did not see them, where other rows know too much."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clicks_as_data import scenario_data

from cmml_tf.config import FactorConfig
from cmml_tf.embeddings.click_choices import Clicks
from cmml_tf.embeddings.leave_scenario_out import fit_scenario_factors
from cmml_tf.embeddings.training_tables import clicks_of, training_tables
from cmml_tf.embeddings.unseen_rows import UnseenRows
from cmml_tf.embeddings.unseen_scenarios import UnseenScenarios
from cmml_tf.settings.scenario.matching_tables import FACTORS_FILE, TASTES_FILE, matching_tables
from cmml_tf.training.run_folder import CONTINUED

USERS, ITEMS, SCENARIOS, SHOWN, CLICKS = 300, 400, 32, 30, 150
EVERYBODY, EVERYTHING = np.arange(USERS), np.arange(ITEMS)
CONFIG = FactorConfig(dimension=8)


def clicks(strength: float, seed: int = 0, each: int = CLICKS) -> Clicks:
    """Of users who choose among the items of a scenario, by a taste of this strength and at random.

    With 0 nothing that a user took tells what he takes. He has some 16 clicks, an item a dozen.
    """
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(USERS, 2)), rng.normal(size=(ITEMS, 2))
    parts = []
    for scenario in range(SCENARIOS):
        shown = rng.choice(ITEMS, SHOWN, replace=False)
        who = rng.integers(USERS, size=each)
        liking = strength * u[who] @ v[shown].T + rng.gumbel(size=(each, SHOWN))
        pairs = np.unique(np.c_[who, shown[liking.argmax(axis=1)]], axis=0)
        parts.append(np.c_[pairs, np.full(len(pairs), scenario)])
    user, item, scenario = np.concatenate(parts).T
    return Clicks(user, item, scenario, USERS, ITEMS, SCENARIOS)


def factors_of(rows):
    return rows[:, : CONFIG.dimension].astype(np.float64)


@pytest.mark.parametrize("copies_known", [True, False])
@pytest.mark.parametrize(("strength", "too_much"), [(0.0, True), (2.0, False)])
def test_rows_know_too_much_where_others_clicks_tell_nothing(strength, too_much, copies_known):
    for seed in range(3):
        data = replace(clicks(strength, seed), copies_known=copies_known)
        factors = fit_scenario_factors(data, CONFIG, seed)
        assert UnseenScenarios(data, CONFIG, seed).knows_too_much(factors) == too_much


def test_what_chance_alone_would_make_is_not_too_much():
    """Of some 800 clicks .70 and .65 are told: less than four fifths of what is above one half, but
    by less than two standard errors."""
    for seed in range(3):
        few = clicks(0.9, seed)
        few = few.only(few.scenario < 24)
        factors = fit_scenario_factors(few, CONFIG, seed)
        assert not UnseenScenarios(few, CONFIG, seed).knows_too_much(factors)


def test_of_few_scenarios_nothing_is_concluded():
    for scenarios in (20, 24):
        some = clicks(0.0)
        some = some.only(some.scenario < scenarios)
        factors = fit_scenario_factors(some, CONFIG, 0)
        found = UnseenScenarios(some, CONFIG, 0).knows_too_much(factors)
        assert found == (scenarios == 24)


def test_rows_are_not_moved_by_what_their_scenario_holds():
    """Its users took each other's items: rows by subtraction tell that, these do not."""
    data, rng = clicks(0.0), np.random.default_rng(1)
    items = data.items.copy()
    items[data.scenario == 3] = rng.permutation(items[data.scenario == 3])
    moved = {}
    for kind in (lambda factors: factors, lambda factors: UnseenRows(factors, seed=0)):
        products = []
        for one in (data, replace(data, items=items)):
            rows = kind(fit_scenario_factors(one, CONFIG, 0)).without(3, EVERYBODY, EVERYTHING)
            user = factors_of(rows.user)
            # Of each two users: no matter to which basis they are turned.
            products.append(user @ user.T)
        moved[kind] = np.abs(products[0] - products[1]).max()
    by_subtraction, unseen = moved.values()
    assert unseen < 1e-4 < 1e-2 < by_subtraction


def test_rows_lie_where_those_of_all_clicks_do():
    factors = fit_scenario_factors(clicks(2.0, each=1000), CONFIG, 0)
    unseen, whole = UnseenRows(factors, seed=0), factors.rows()
    for number in (0, 7):
        rows = unseen.without(number, EVERYBODY, EVERYTHING)
        for some, all_ in ((rows.user, whole.user), (rows.item, whole.item)):
            first, second = factors_of(some), factors_of(all_)
            sizes = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
            cosine = (first * second).sum(axis=1) / np.maximum(sizes, 1e-12)
            assert np.median(cosine) > 0.9
            assert 0.8 < np.median(np.linalg.norm(first, axis=1)) / np.median(
                np.linalg.norm(second, axis=1)
            ) < 1.25  # fmt: skip


def test_tables_have_the_rows_of_every_scenario_whatever_the_order_of_the_fits():
    data = scenario_data(clicks(0.0))
    unseen = UnseenRows(fit_scenario_factors(clicks_of(data), CONFIG, 0), seed=0)
    assert sorted(unseen.order) == list(range(SCENARIOS)) != list(unseen.order)
    tables = training_tables(data, unseen)
    for number, (own, moved) in enumerate(
        zip(data.meta_train, tables.data.meta_train, strict=True)
    ):
        rows = unseen.without(number, own.users, own.items)
        np.testing.assert_array_equal(tables.user_rows[moved.users], rows.user)
        np.testing.assert_array_equal(tables.item_rows[moved.items], rows.item)


def test_one_scenario_without_which_nothing_is_known_has_rows_by_subtraction():
    data = clicks(0.0)
    alone = data.only(data.scenario == 0)
    factors = fit_scenario_factors(alone, CONFIG, 0)
    rows = UnseenRows(factors, seed=0).without(0, EVERYBODY, EVERYTHING)
    np.testing.assert_array_equal(rows.user, factors.without(0, EVERYBODY, EVERYTHING).user)


@pytest.mark.parametrize("copies_known", [True, False])
def test_a_copy_of_a_click_is_known_without_its_scenario_or_not(copies_known):
    one, other = np.array([5, 6]), np.array([5, 7])
    data = Clicks(
        np.zeros(4, int), np.r_[one, other], np.array([0, 0, 1, 1]), 1, 8, 2,
        copies_known=copies_known,
    )  # fmt: skip
    assert data.known_without(np.array([0])).tolist() == [False, False, copies_known, True]


def test_a_run_says_so_shrinks_nobody_and_the_next_one_goes_on_alike(tmp_path: Path):
    run, later = tmp_path / "run", tmp_path / "later"
    for folder in (run, later / CONTINUED):
        folder.mkdir(parents=True)
    data = scenario_data(clicks(0.0))
    matching_tables(data, CONFIG, 0, None, None, run)
    with np.load(run / FACTORS_FILE) as file:
        assert float(file["unseen_rows"]) == float(file["user_share"]) == 1.0
    # Of other clicks, which would not have been refitted.
    for name in (FACTORS_FILE, TASTES_FILE):
        (later / CONTINUED / name).write_bytes((run / name).read_bytes())
    matching_tables(scenario_data(clicks(2.0)), CONFIG, 0, None, None, later)
    with np.load(later / FACTORS_FILE) as file:
        assert float(file["unseen_rows"]) == 1.0
