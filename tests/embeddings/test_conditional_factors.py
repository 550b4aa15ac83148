"""Conditional factors and leave-scenario-out rows against plain sums over pairs."""

from dataclasses import replace

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


def logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def of_group(mine: np.ndarray, level: float, clicks: int, others: np.ndarray, levels: np.ndarray):
    """What `clicks` clicks of a row in a group are compared with, and their curvature."""
    w = logistic(others @ mine + level + levels)
    free = w * (1.0 - w)
    mean = free @ others / free.sum()
    first = w @ others + (clicks - w.sum()) * mean
    return first, (others - mean).T @ ((others - mean) * free[:, None])


def of_all(mine: np.ndarray, others: np.ndarray, clicks: np.ndarray) -> tuple:
    """The same of one click among all, factors being normal."""
    mean = clicks @ others / clicks.sum()
    covariance = np.cov(others.T, aweights=clicks, bias=True)
    return mean + covariance @ mine, covariance


def reference(
    who: int, of_users: bool, data: Clicks, fitted: ConditionalFactors
) -> tuple[np.ndarray, np.ndarray]:
    """Slope and curvature of a user or an item at the factors of which its last step is taken."""
    likelihood = fitted.likelihood
    u = fitted.basis_users if of_users else fitted.user_factors
    mine, other = (u, fitted.basis_items) if of_users else (fitted.basis_items, u)
    rows, others = (data.users, data.items) if of_users else (data.items, data.users)
    every, own = likelihood.everything, np.flatnonzero(rows == who)
    reached = (every.items, every.item_clicks) if of_users else (every.users, every.user_clicks)
    first, covariance = of_all(mine[who], other[reached[0]], reached[1])
    slope = other[others[own]].sum(axis=0) - 0.25 * len(own) * first
    curvature = 0.25 * len(own) * covariance
    for number, group in enumerate([likelihood.background, *likelihood.scenarios], -1):
        count = int(np.sum(data.scenario[own] == number))
        if count:
            sides = [(group.users, group.user_level), (group.items, group.item_level)]
            (inside, level), (across, levels) = sides if of_users else sides[::-1]
            at = np.searchsorted(inside, who)
            part = of_group(mine[who], level[at], count, other[across], levels)
            slope, curvature = slope - 0.75 * part[0], curvature + 0.75 * part[1]
    return slope, curvature


def test_factors_are_newton_steps_of_the_likelihood_in_each_scenario_and_among_all():
    data = clicks()
    fitted = ConditionalFactors(data, CONFIG, seed=0)
    for of_users, side, start, found in (
        (True, fitted.user, fitted.basis_users, fitted.user_factors),
        (False, fitted.item, fitted.basis_items, fitted.item_factors),
    ):
        for who in (0, 7, 33):
            prior = side.prior(3)[who]
            slope, curvature = reference(who, of_users, data, fitted)
            slope = slope + side.penalty * (prior - start[who])
            expected = start[who] + np.linalg.solve(curvature + side.penalty * np.eye(3), slope)
            np.testing.assert_allclose(found[who], expected, rtol=1e-4, atol=1e-5)


def test_levels_make_the_expected_clicks_as_many_as_there_are():
    data = clicks()
    fitted = ConditionalFactors(data, CONFIG, seed=0)
    for group in (fitted.likelihood.background, *fitted.likelihood.scenarios):
        u, v = fitted.basis_users[group.users], fitted.basis_items[group.items]
        w = logistic(u @ v.T + group.user_level[:, None] + group.item_level)
        np.testing.assert_allclose(w.sum(axis=0), group.item_clicks, rtol=0.02)
        np.testing.assert_allclose(w.sum(axis=1), group.user_clicks, rtol=0.1)


def with_copies(data: Clicks) -> Clicks:
    """Half of the pairs of scenario 2 are in scenario 4, too, and known by neither without both."""
    copied = np.flatnonzero(data.scenario == 2)[::2]
    return replace(
        data,
        users=np.concatenate([data.users, data.users[copied]]),
        items=np.concatenate([data.items, data.items[copied]]),
        scenario=np.concatenate([data.scenario, np.full(len(copied), 4)]),
        copies_known=False,
    )


@pytest.mark.parametrize("copied", [False, True])
def test_rows_without_a_scenario_are_those_of_its_pairs_taken_away(copied):
    data = with_copies(clicks()) if copied else clicks()
    fitted = ConditionalFactors(data, CONFIG, seed=0)
    rows = ScenarioFactors(fitted, Popularity(data, CONFIG.content_penalty))
    scale = rows.rows().item[0, 0] / fitted.item_factors[0, 0]
    left = rows.without(2, np.arange(USERS), np.arange(ITEMS))
    kept = data.scenario != 2
    key = data.users * ITEMS + data.items
    known = ~np.isin(key, key[~kept])
    assert copied == (np.count_nonzero(known) < np.count_nonzero(kept))
    for of_users, side, start, found, hidden, size in (
        (True, fitted.user, fitted.basis_users, left.user, left.hidden_user, 1.0),
        (False, fitted.item, fitted.basis_items, left.item, left.hidden_item, scale),
    ):
        rows_of, others_of = (data.users, data.items) if of_users else (data.items, data.users)
        other = fitted.basis_items if of_users else fitted.user_factors
        counts = np.bincount(others_of, minlength=len(other))
        rest = np.bincount(others_of[kept], minlength=len(other))
        for who in (0, 1, 3, 9, 33):  # items 3, 9 and 33 are in scenario 2 and in no other
            own = np.flatnonzero(rows_of == who)
            slope, curvature = reference(who, of_users, data, fitted)
            # Users are not known by copies in other scenarios; items are.
            lost = own[~known[own]] if of_users else own[~kept[own]]
            for number in np.unique(data.scenario[lost]):
                group = fitted.likelihood.scenarios[number]
                sides = [(group.users, group.user_level), (group.items, group.item_level)]
                (inside, level), (across, levels) = sides if of_users else sides[::-1]
                at, clicked = np.searchsorted(inside, who), np.sum(data.scenario[own] == number)
                part, _ = of_group(start[who], level[at], clicked, other[across], levels)
                slope = slope + 0.75 * part * np.sum(data.scenario[lost] == number) / clicked
            slope = slope - other[others_of[lost]].sum(axis=0)
            # What is left of its clicks is compared with what all others clicked.
            slope = slope + 0.25 * len(lost) * of_all(start[who], other, counts)[0]
            moved = other.T @ (rest / rest.sum() - counts / counts.sum())
            slope = slope - 0.25 * (len(own) - len(lost)) * moved
            curvature = curvature * (1.0 - len(lost) / len(own))
            slope = slope + side.penalty * (hidden[who, :3] / size - start[who])
            expected = start[who] + np.linalg.solve(curvature + side.penalty * np.eye(3), slope)
            np.testing.assert_allclose(found[who, :3], expected * size, rtol=1e-3, atol=1e-4)
    still = [np.bincount(data.users[known], minlength=USERS) > 0]
    still.append(np.bincount(data.items[kept], minlength=ITEMS) > 0)
    assert left.user[:, 3].tolist() == still[0].tolist()
    assert left.item[:, 3].tolist() == still[1].tolist()


def test_without_a_scenario_that_nobody_clicked_in_rows_are_as_they_are():
    data = replace(clicks(), scenario_count=SCENARIOS + 1)
    rows = fit_scenario_factors(data, CONFIG, seed=0)
    left, whole = rows.without(SCENARIOS, np.arange(USERS), np.arange(ITEMS)), rows.rows()
    np.testing.assert_allclose(left.user, whole.user, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(left.item, whole.item, rtol=1e-5, atol=1e-6)


def test_factors_of_a_very_large_group_are_taken_to_be_normal():
    rng = np.random.default_rng(0)
    u, v = 0.5 * rng.normal(size=(300, 2)), rng.normal(size=(4000, 2))
    clicked = rng.integers(1, 50, 4000).astype(float)
    of_user = rng.integers(1, 9, 300) * 1.0
    group = Choices(np.arange(300), of_user, np.arange(4000), clicked, 1.0, normal=True)
    found = group.of_users(u, v)
    for user in range(30):
        first, covariance = of_all(u[user], v, clicked)
        np.testing.assert_allclose(found.first[user], first, rtol=1e-6)
        np.testing.assert_allclose(unpacked(found.central, 2)[user], covariance, rtol=1e-5)
        # Which is what a pair by pair account says of so many, as long as clicks are few.
        p = clicked * np.exp(v @ u[user])
        np.testing.assert_allclose(first, p @ v / p.sum(), atol=0.15)


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


def test_items_that_are_clicked_most_are_known_best_unlike_by_steps_from_zero():
    rng = np.random.default_rng(0)
    u, v, level = rng.normal(size=(1000, 2)), rng.normal(size=(80, 2)), 1.5 * rng.normal(size=80)
    parts = []
    for scenario in range(4):
        shown, who = rng.permutation(80)[:40], np.arange(scenario % 2, 1000, 2)
        liked = level[shown] + 1.2 * u[who] @ v[shown].T
        best = np.argsort(-liked - rng.gumbel(size=liked.shape), axis=1)[:, :8]
        parts.append((np.repeat(who, 8), shown[best].ravel(), np.full(8 * len(who), scenario)))
    users, items, scenario = (np.concatenate(column) for column in zip(*parts, strict=True))
    fitted = ConditionalFactors(
        Clicks(users, items, scenario, 1000, 80, 4), FactorConfig(dimension=2), seed=0
    )
    most = np.argsort(fitted.item.total)[-20:]

    def unexplained(found):
        found = np.c_[found, np.ones(80)]
        left = v - found @ np.linalg.lstsq(found, v, rcond=None)[0]
        return np.square(left[most]).sum() / np.square(v[most] - v[most].mean(axis=0)).sum()

    u = fitted.user_factors
    from_zero = fitted.item.solve(fitted.likelihood.transposed @ u, fitted.user.moments(u, 0.25))
    assert unexplained(fitted.item_factors) < 0.6 * unexplained(from_zero)
    assert unexplained(fitted.item_factors) < 0.06


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
