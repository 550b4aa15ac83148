"""Rows that a training scenario's own pairs never reached, those set aside in it included."""

from dataclasses import replace

import numpy as np

from cmml_tf.config import FactorConfig
from cmml_tf.datasets.tasks.scenario_data import Scenario, ScenarioData
from cmml_tf.embeddings.leave_scenario_out import fit_scenario_factors
from cmml_tf.embeddings.training_tables import clicks_of, training_tables

USERS, ITEMS = 40, 24
CONFIG = FactorConfig(dimension=3, sweeps=4)


def scenarios(aside_share):
    """Two scenarios of different items; the first users of each are set aside."""
    rng = np.random.default_rng(0)
    made = []
    for first in (0, 12):
        keys = np.unique(rng.integers(USERS * 12, size=150))
        users, items = (part.astype(np.int32) for part in np.divmod(keys, 12))
        items += np.int32(first)
        aside = users < aside_share * USERS
        made.append(
            Scenario(
                f"from {first}",
                users[~aside],
                items[~aside],
                np.arange(first, first + 12, dtype=np.int32),
                users[aside],
                items[aside],
            )
        )
    return tuple(made)


def data(aside_share):
    meta_train = scenarios(aside_share)
    taken = {pair for one in scenarios(0.0) for pair in zip(one.users, one.items, strict=True)}
    pairs = [(user, user % 5) for user in range(USERS) if (user, user % 5) not in taken]
    elsewhere = np.array(pairs, np.int32).T
    # Pairs that are set aside fit embeddings, so they are background to other models.
    users = [elsewhere[0], *(one.aside_users for one in meta_train)]
    items = [elsewhere[1], *(one.aside_items for one in meta_train)]
    none = np.zeros(0, np.int32)
    return ScenarioData(
        "made", np.arange(USERS), np.arange(ITEMS), meta_train, (), (),
        np.concatenate(users), np.concatenate(items), none, none, None, None, {},
    )  # fmt: skip


def test_pairs_set_aside_in_a_scenario_are_the_scenario_s_own():
    def listed(clicks):
        return sorted(zip(clicks.scenario, clicks.users, clicks.items, strict=True))

    assert listed(clicks_of(data(0.5))) == listed(clicks_of(data(0.0)))


def test_rows_of_a_scenario_know_nothing_of_those_who_are_set_aside_in_it():
    made = data(0.5)
    tables = training_tables(made, fit_scenario_factors(clicks_of(made), CONFIG, seed=0))
    for scenario, moved in zip(made.meta_train, tables.data.meta_train, strict=True):
        # The items are of this scenario and the few of the background alone.
        known = tables.item_rows[moved.candidates, CONFIG.dimension] > 0
        assert known.tolist() == (scenario.candidates < 5).tolist()
        # Users set aside have rows of the scenario, too, without what they took in it.
        assert (moved.aside_users >= USERS).all()
        assert len(moved.aside_users) == len(scenario.aside_users) > 0


def test_under_warm_they_are_known_of_a_training_scenario_as_of_one_that_is_asked():
    made = replace(data(0.5), protocol="warm")
    clicks = clicks_of(made)
    for number, scenario in enumerate(made.meta_train):
        assert np.count_nonzero(clicks.scenario == number) == len(scenario.users)
    assert np.count_nonzero(clicks.scenario == -1) == len(made.background_users)
    tables = training_tables(made, fit_scenario_factors(clicks, CONFIG, seed=0))
    for scenario, moved in zip(made.meta_train, tables.data.meta_train, strict=True):
        known = tables.item_rows[moved.candidates, CONFIG.dimension] > 0
        of_others = np.isin(scenario.candidates, scenario.aside_items) | (scenario.candidates < 5)
        assert known.tolist() == of_others.tolist()
