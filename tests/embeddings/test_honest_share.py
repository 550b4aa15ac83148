"""By how much products of a user and an item tell less of a new scenario than of those learned."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from clicks_as_data import scenario_data

from cmml_tf.config import FactorConfig
from cmml_tf.embeddings.click_choices import Clicks
from cmml_tf.embeddings.conditional_factors import ConditionalFactors, FactorStart
from cmml_tf.embeddings.leave_scenario_out import KeptFactors, fit_scenario_factors
from cmml_tf.embeddings.training_tables import clicks_of
from cmml_tf.embeddings.unseen_scenarios import UnseenScenarios
from cmml_tf.settings.scenario.matching_tables import FACTORS_FILE, matching_tables
from cmml_tf.training.run_folder import CONTINUED

USERS, ITEMS, SCENARIOS, SHOWN, CLICKS = 300, 120, 16, 30, 600
CONFIG = FactorConfig(dimension=8)


def clicks(strength: float, seed: int = 0, own_items: bool = False, told: bool = False) -> Clicks:
    """Of users who choose among the items of a scenario by a taste of this strength, and by how
    much anybody in it likes each. Items of its own are in no other; what taste is about may be
    told of items, among numbers that say nothing."""
    rng = np.random.default_rng(seed)
    count = SCENARIOS * SHOWN if own_items else ITEMS
    u, v = rng.normal(size=(USERS, 2)), rng.normal(size=(count, 2))
    parts = []
    for scenario in range(SCENARIOS):
        shown = rng.choice(ITEMS, SHOWN, replace=False)
        if own_items:
            shown = scenario * SHOWN + np.arange(SHOWN)
        who = rng.integers(USERS, size=CLICKS)
        liking = strength * u[who] @ v[shown].T + rng.normal(size=SHOWN)
        chosen = shown[(liking + rng.gumbel(size=liking.shape)).argmax(axis=1)]
        pairs = np.unique(np.c_[who, chosen], axis=0)
        parts.append(np.c_[pairs, np.full(len(pairs), scenario)])
    user, item, scenario = np.concatenate(parts).T
    content = np.c_[v, rng.normal(size=(count, 30))].astype(np.float32) if told else None
    return Clicks(user, item, scenario, USERS, count, SCENARIOS, item_content=content)


def share(data: Clicks, seed: int) -> float:
    factors = fit_scenario_factors(data, CONFIG, seed)
    return UnseenScenarios(data, CONFIG, seed).honest_share(factors)


@pytest.mark.parametrize(("strength", "least", "most"), [(0.0, 0.0, 0.2), (2.0, 0.7, 1.0)])
def test_products_tell_nothing_of_a_new_scenario_where_there_is_no_taste(strength, least, most):
    for seed in range(2):
        data = clicks(strength, seed)
        factors = fit_scenario_factors(data, CONFIG, seed)
        # They seem to tell of the scenarios that they were fitted on, even so.
        rows = factors.without(3, np.arange(USERS), np.arange(ITEMS))
        own = data.scenario == 3
        scores = rows.user[:, :8] @ rows.item[:, :8].T
        of_clicks = scores[data.users[own], data.items[own]]
        others = scores[data.users[own]][:, np.unique(data.items[own])].mean(axis=1)
        assert (of_clicks - others).mean() > 0
        assert least <= UnseenScenarios(data, CONFIG, seed).honest_share(factors) <= most
        assert UnseenScenarios(data, CONFIG, seed).honest_share(factors) == UnseenScenarios(
            data, CONFIG, seed
        ).honest_share(factors)


def test_it_is_a_quotient_of_two_slopes_that_a_search_finds():
    data, seed = clicks(1.0), 3
    factors = fit_scenario_factors(data, CONFIG, seed)
    rng = np.random.default_rng(seed)
    unseen = rng.permutation(SCENARIOS)[: SCENARIOS // 4]
    left = ~np.isin(data.scenario, unseen)
    seen = Clicks(data.users[left], data.items[left], data.scenario[left], USERS, ITEMS, SCENARIOS)
    fit, whole = (ConditionalFactors(of, CONFIG, seed) for of in (seen, data))
    scale = factors.rows().item[0, 0] / whole.item_factors[0, 0]  # of all rows of items
    learned, new = [], []
    for scenario in unseen:
        own = data.scenario == scenario
        pairs = list(zip(data.users[own], data.items[own], strict=True))
        users, items = np.unique([u for u, _ in pairs]), np.unique([i for _, i in pairs])
        rows = factors.without(scenario, users, items)
        others = items[rng.permutation(np.searchsorted(items, [i for _, i in pairs]))]
        for (u, i), j in zip(pairs, others, strict=True):
            if (u, j) in pairs:
                continue
            user = rows.user[np.searchsorted(users, u), :8]
            item, other = (rows.item[np.searchsorted(items, each), :8] for each in (i, j))
            learned.append(user @ (item - other))
            new.append(scale * fit.user_factors[u] @ (fit.item_factors[i] - fit.item_factors[j]))
    tried = np.linspace(0.0, 4.0, 8001)
    slopes = []
    for x in (learned, new):
        x = np.array(x)
        likelihood = [-np.log1p(np.exp(-b * x)).sum() - b * b / 2 for b in tried]
        slopes.append(tried[np.argmax(likelihood)])
    np.testing.assert_allclose(
        UnseenScenarios(data, CONFIG, seed).honest_share(factors), slopes[1] / slopes[0], atol=2e-3
    )


def test_where_nothing_is_left_to_compare_products_are_believed():
    data = clicks(0.0)
    one = data.scenario == 0
    alone = Clicks(data.users[one], data.items[one], data.scenario[one], USERS, ITEMS, 1)
    assert share(alone, 0) == 1.0
    nowhere = Clicks(data.users, data.items, np.full(len(one), -1), USERS, ITEMS, 0)
    assert share(nowhere, 0) == 1.0


@pytest.mark.parametrize("features", [0, 1, 16])
def test_items_of_one_scenario_each_leave_users_as_they_are(features):
    """Their products with items that nothing tells of are of no worth, but alike users are.

    Sixteen features of a few hundred items are learned by heart: of a new scenario they say nothing
    all the same.
    """
    for seed in range(3):
        data = clicks(2.0, seed, own_items=True)
        if features:
            content = np.random.default_rng(1).normal(size=(data.item_count, features))
            data = dataclasses.replace(data, item_content=content.astype(np.float32))
        assert share(data, seed) == 1.0


def test_items_of_one_scenario_each_whose_content_tells_of_taste_shrink_users():
    """Only where products tell nothing of a new scenario are users left as they are."""
    for seed in range(2):
        data = clicks(0.5, seed, own_items=True, told=True)
        assert 0.5 < share(data, seed) < 0.9


def test_users_who_are_asked_are_shrunk_by_it_and_those_of_training_tasks_are_not(tmp_path: Path):
    data = scenario_data(clicks(1.0))
    content = np.random.default_rng(0).normal(size=(USERS, 2)).astype(np.float32)
    tables = matching_tables(data, CONFIG, 0, content, None, tmp_path)
    fitted_on = clicks_of(data, content)
    factors = fit_scenario_factors(fitted_on, CONFIG, 0)
    share, turned = (
        UnseenScenarios(fitted_on, CONFIG, 0).honest_share(factors),
        tables.tastes.directions,
    )
    assert 0.2 < share < 0.95
    whole, kept = factors.rows(), factors.without(5, np.arange(USERS), np.arange(ITEMS))
    user_map, _ = factors.content_maps()
    for found, expected in (
        (tables.rows.user, share * whole.user[:, :8] @ turned),
        (tables.rows.hidden_user, share * whole.hidden_user[:, :8] @ turned),
        (tables.training.user_rows[:USERS], share * whole.user[:, :8] @ turned),
        (
            tables.training.user_rows[tables.training.users :][:USERS],
            share * whole.hidden_user[:, :8] @ turned,
        ),
        (tables.user_map, share * user_map[:, :8] @ turned),
        (tables.rows.item, whole.item[:, :8] @ turned),
    ):
        np.testing.assert_allclose(found[:, :8], expected, rtol=1e-4, atol=1e-5)
    rows = np.unique(tables.training.data.meta_train[5].users)
    users = np.unique(data.meta_train[5].users)
    np.testing.assert_allclose(
        tables.training.user_rows[rows, :8], kept.user[users, :8] @ turned, rtol=1e-4, atol=1e-5
    )


def test_a_run_that_continues_another_shrinks_users_as_that_one_did(tmp_path: Path):
    earlier, data = tmp_path / CONTINUED, scenario_data(clicks(1.0, seed=1))
    earlier.mkdir()
    matching_tables(scenario_data(clicks(1.0)), CONFIG, 0, None, None, earlier)
    tables = matching_tables(data, CONFIG, 0, None, None, tmp_path)
    written = np.load(earlier / FACTORS_FILE)
    start, share = FactorStart(written["users"], written["items"]), float(written["user_share"])
    kept = KeptFactors(start, float(written["item_scale"]), share)
    factors = fit_scenario_factors(clicks_of(data), CONFIG, 0, kept)
    assert share != pytest.approx(
        UnseenScenarios(clicks_of(data), CONFIG, 0).honest_share(factors), abs=1e-3
    )
    expected = share * factors.rows().user[:, :8] @ tables.tastes.directions
    np.testing.assert_allclose(tables.rows.user[:, :8], expected, rtol=1e-4, atol=1e-5)
    assert float(np.load(tmp_path / FACTORS_FILE)["user_share"]) == share
