"""Conditional factors and leave-scenario-out rows against plain sums over pairs."""

import numpy as np
import pytest

from cmml_tf.config import FactorConfig
from cmml_tf.embeddings.click_choices import Choices, Clicks, unpacked
from cmml_tf.embeddings.conditional_factors import ConditionalFactors, FactorStart
from cmml_tf.embeddings.leave_scenario_out import ScenarioFactors, fit_scenario_factors
from cmml_tf.embeddings.popularity import Popularity

USERS, ITEMS, SCENARIOS = 60, 40, 5
CONFIG = FactorConfig(dimension=3, sweeps=5)


def clicks(content: bool = True) -> Clicks:
    rng = np.random.default_rng(0)
    keys = np.unique(rng.integers(USERS * ITEMS, size=700))
    users, items = np.divmod(keys, ITEMS)
    scenario = items % (SCENARIOS + 1) - 1
    return Clicks(
        users, items, scenario, USERS, ITEMS, SCENARIOS,
        user_content=rng.normal(size=(USERS, 2)) if content else None,
        item_content=rng.normal(size=(ITEMS, 2)) if content else None,
    )  # fmt: skip


def of_a_click(mine: np.ndarray, factors: np.ndarray, weights: np.ndarray) -> tuple:
    """Mean and covariance of factors, in proportion to weights times exp(<mine, factor>)."""
    p = weights * np.exp(factors @ mine)
    p = p / p.sum()
    mean = p @ factors
    return mean, (factors * p[:, None]).T @ factors - np.outer(mean, mean)


def test_factors_are_newton_steps_of_the_likelihood_among_a_scenario_and_among_all():
    data = clicks()
    fitted = ConditionalFactors(data, CONFIG, seed=0)
    of = fitted.likelihood
    groups = [of.background, *of.scenarios]
    u, v = fitted.basis_users, fitted.basis_items
    for user in (0, 7, 33):
        left = CONFIG.user_penalty * np.eye(3)
        right = CONFIG.user_penalty * (fitted.user.prior(3)[user] - u[user])
        for pair in np.flatnonzero(data.users == user):
            for share, group in ((0.75, groups[data.scenario[pair] + 1]), (0.25, of.everything)):
                mean, covariance = of_a_click(u[user], v[group.items], np.exp(group.level))
                left = left + share * covariance
                right = right + share * (v[data.items[pair]] - mean)
        expected = u[user] + np.linalg.solve(left, right)
        np.testing.assert_allclose(fitted.user_factors[user], expected, rtol=1e-4, atol=1e-5)
    u = fitted.user_factors
    total = {
        id(group): np.log(np.exp(u[group.users] @ v[group.items].T + group.level).sum(axis=1))
        for group in (*groups, of.everything)
    }
    for item in (0, 3, 9):
        left = CONFIG.item_penalty * np.eye(3)
        right = CONFIG.item_penalty * (fitted.item.prior(3)[item] - v[item])
        for pair in np.flatnonzero(data.items == item):
            for share, group in ((0.75, groups[data.scenario[pair] + 1]), (0.25, of.everything)):
                weights = group.user_clicks * np.exp(-total[id(group)])
                mean, covariance = of_a_click(v[item], u[group.users], weights)
                left = left + share * covariance
                right = right + share * (u[data.users[pair]] - mean)
        expected = v[item] + np.linalg.solve(left, right)
        np.testing.assert_allclose(fitted.item_factors[item], expected, rtol=1e-4, atol=1e-5)


def test_levels_make_the_expected_clicks_on_each_item_as_many_as_there_are():
    data = clicks()
    fitted = ConditionalFactors(data, CONFIG, seed=0)
    group, u, v = fitted.likelihood.scenarios[1], fitted.basis_users, fitted.basis_items
    p = np.exp(u[group.users] @ v[group.items].T + group.level)
    p /= p.sum(axis=1, keepdims=True)
    found = np.bincount(data.items[data.scenario == 1], minlength=ITEMS)[group.items]
    np.testing.assert_allclose(group.user_clicks @ p, found, rtol=0.01)


def test_rows_without_a_scenario_are_those_of_its_pairs_taken_away():
    data = clicks()
    fitted = ConditionalFactors(data, CONFIG, seed=0)
    of = fitted.likelihood
    rows = ScenarioFactors(fitted, Popularity(data, CONFIG.content_penalty))
    scale = rows.rows().item[0, 0] / fitted.item_factors[0, 0]
    left = rows.without(2, np.arange(USERS), np.arange(ITEMS))
    kept, gone = data.scenario != 2, of.scenarios[2]
    groups = [of.background, *of.scenarios]
    u, v = fitted.basis_users, fitted.basis_items
    at = np.searchsorted(of.everything.items, gone.items)
    weights = np.exp(of.everything.level)
    for user in (0, 7, 33):
        _, spread = of_a_click(u[user], v[of.everything.items], weights)
        rest = weights.copy()
        rest[at] *= 1.0 - gone.item_clicks / of.everything.item_clicks[at]
        among_all, _ = of_a_click(u[user], v[of.everything.items], rest)
        curvature = CONFIG.user_penalty * np.eye(3)
        right = CONFIG.user_penalty * (left.hidden_user[user, :3] - u[user])
        for pair in np.flatnonzero((data.users == user) & kept):
            group = groups[data.scenario[pair] + 1]
            mean, covariance = of_a_click(u[user], v[group.items], np.exp(group.level))
            curvature = curvature + 0.75 * covariance + 0.25 * spread
            right = right + v[data.items[pair]] - 0.75 * mean - 0.25 * among_all
        expected = u[user] + np.linalg.solve(curvature, right)
        np.testing.assert_allclose(left.user[user, :3], expected, rtol=1e-3, atol=1e-4)
    u = fitted.user_factors
    clicks_left = of.everything.user_clicks.copy()
    clicks_left[np.searchsorted(of.everything.users, gone.users)] -= gone.user_clicks
    for item in (0, 1, 3, 9):  # 3 and 9 are in scenario 2 and in no other
        every = of.everything
        total = np.exp(u[every.users] @ v[every.items].T + every.level).sum(axis=1)
        _, spread = of_a_click(v[item], u[every.users], every.user_clicks / total)
        among_all, _ = of_a_click(v[item], u[every.users], clicks_left / total)
        curvature = CONFIG.item_penalty * np.eye(3)
        right = CONFIG.item_penalty * (left.hidden_item[item, :3] / scale - v[item])
        for pair in np.flatnonzero((data.items == item) & kept):
            group = groups[data.scenario[pair] + 1]
            sums = np.exp(u[group.users] @ v[group.items].T + group.level).sum(axis=1)
            mean, covariance = of_a_click(v[item], u[group.users], group.user_clicks / sums)
            curvature = curvature + 0.75 * covariance + 0.25 * spread
            right = right + u[data.users[pair]] - 0.75 * mean - 0.25 * among_all
        expected = v[item] + np.linalg.solve(curvature, right)
        np.testing.assert_allclose(left.item[item, :3], expected * scale, rtol=1e-3, atol=1e-4)
    assert left.item[:, 3].tolist() == [float(item % 6 - 1 != 2) for item in range(ITEMS)]


def test_a_group_of_very_many_items_or_users_is_looked_at_in_part():
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=(30, 3)), rng.normal(size=(9000, 3))
    clicked = rng.integers(1, 50, 9000).astype(float)
    group = Choices(np.arange(30), rng.integers(1, 9, 30) * 1.0, np.arange(9000), clicked, 1.0)
    found = group.of_users(u, v)
    for user in range(30):
        mean, covariance = of_a_click(u[user], v, clicked)
        np.testing.assert_allclose(found.first[user], mean, atol=0.15)
        np.testing.assert_allclose(unpacked(found.central, 3)[user], covariance, atol=0.25)
    group = Choices(np.arange(9000), clicked, np.arange(30), rng.integers(1, 9, 30) * 1.0, 1.0)
    group.settle(v, u)
    np.testing.assert_allclose(group.expected(v, u).sum(), clicked.sum(), rtol=0.05)


def test_content_foretells_a_row_as_if_the_left_out_scenario_had_taught_nothing():
    data = clicks()
    fitted = ConditionalFactors(data, CONFIG, seed=0)
    rows = ScenarioFactors(fitted, Popularity(data, CONFIG.content_penalty))
    scale = rows.rows().item[0, 0] / fitted.item_factors[0, 0]
    left = rows.without(2, np.arange(USERS), np.arange(ITEMS))
    count = np.bincount(data.items[data.scenario != 2], minlength=ITEMS)
    x = np.c_[data.item_content, np.ones(ITEMS)]
    weighted = x * (count / (count + 10.0))[:, None]
    gram = weighted.T @ x + CONFIG.content_penalty * np.eye(3)
    expected = x @ np.linalg.solve(gram, weighted.T @ fitted.basis_items) * scale
    np.testing.assert_allclose(left.hidden_item[:, :3], expected, rtol=1e-4, atol=1e-6)


def test_a_scenario_that_is_left_out_leaves_popularity_as_if_it_had_never_been():
    data = clicks()
    kept = data.scenario != 2
    without = Clicks(
        data.users[kept], data.items[kept], data.scenario[kept], USERS, ITEMS, SCENARIOS,
        item_content=data.item_content,
    )  # fmt: skip
    np.testing.assert_allclose(
        Popularity(data, 30.0).features_without(2, np.arange(ITEMS)),
        Popularity(without, 30.0).features(),
        atol=1e-9,
    )


def test_content_maps_make_the_rows_of_items_of_which_only_content_is_known():
    data = clicks()
    rows = fit_scenario_factors(data, CONFIG, seed=0)
    user_map, item_map = rows.content_maps()
    expected = rows.rows()
    for content, made, hidden in (
        (data.user_content, user_map, expected.hidden_user),
        (data.item_content, item_map, expected.hidden_item),
    ):
        row = np.c_[content, np.ones(len(content))] @ made
        np.testing.assert_allclose(row, hidden, rtol=1e-4, atol=1e-6)


def test_factors_find_who_likes_what_whatever_the_scenario_shows():
    rng = np.random.default_rng(3)
    u, v = rng.normal(size=(300, 2)), rng.normal(size=(60, 2))
    shift = rng.normal(size=(6, 60)) * 2.0  # what is popular differs between scenarios
    parts = []
    for scenario in range(6):
        shown = rng.permutation(60)[:30]
        score = shift[scenario, shown] + 1.5 * u @ v[shown].T + rng.gumbel(size=(300, 30))
        best = np.argsort(-score, axis=1)[:, :4]
        users = np.repeat(np.arange(300), 4)
        parts.append((users, shown[best].ravel(), np.full(1200, scenario)))
    users, items, scenario = (np.concatenate(column) for column in zip(*parts, strict=True))
    fitted = ConditionalFactors(
        Clicks(users, items, scenario, 300, 60, 6), FactorConfig(dimension=4), seed=0
    )
    for true, found in ((u, fitted.user_factors), (v, fitted.item_factors)):
        solved = np.linalg.lstsq(found, true, rcond=None)[0]
        assert 1 - np.var(true - found @ solved) / np.var(true) > 0.7


def test_wrong_content_is_named():
    with pytest.raises(ValueError, match=r"`item_content`.*40 rows.*\(3, 2\)"):
        Clicks(
            np.zeros(1, int), np.zeros(1, int), np.zeros(1, int), 1, 40, 1, None, np.ones((3, 2))
        )


def test_factors_of_a_log_that_has_grown_stay_where_they_were():
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(300, 4)), rng.normal(size=(80, 4))

    def drawn(number, first, last):
        """Clicks by taste in scenarios `first` to `last`, which show 20 items each."""
        rows = []
        for scenario in range(first, last):
            shown = np.random.default_rng(scenario).choice(80, 20, replace=False)
            user = rng.integers(number, size=600)
            chance = np.exp(users[user] @ items[shown].T)
            share = chance.cumsum(1) / chance.sum(1, keepdims=True)
            place = (share > rng.random((600, 1))).argmax(1)
            rows.append((user, shown[place], np.full(600, scenario)))
        return [np.concatenate(part) for part in zip(*rows, strict=True)]

    config = FactorConfig(dimension=4)
    old = drawn(250, 0, 10)
    old[1] %= 70
    before = ConditionalFactors(Clicks(*old, 250, 70, 10), config, 0)
    grown = [np.concatenate(parts) for parts in zip(old, drawn(300, 10, 12), strict=True)]
    clicks = Clicks(*grown, 300, 80, 12)
    start = FactorStart(before.basis_users, before.basis_items)
    now, anew = ConditionalFactors(clicks, config, 0, start), ConditionalFactors(clicks, config, 1)

    def alike(one, other):
        return np.sum(one * other) / np.linalg.norm(one) / np.linalg.norm(other)

    assert alike(now.user_factors[:250], before.user_factors) > 0.97
    assert alike(now.item_factors[:70], before.item_factors) > 0.97
    assert alike(anew.item_factors[:70], before.item_factors) < 0.9  # another basis
    # What it says of pairs, new ids included, is what a fit from nothing says.
    of_pairs = [one.user_factors @ one.item_factors.T for one in (now, anew)]
    assert alike(*of_pairs) > 0.99
    assert alike(of_pairs[0][250:, 70:], of_pairs[1][250:, 70:]) > 0.95
