"""What a refit learns from: every pair and every task, held-out ones included."""

import numpy as np
import pandas as pd
import pytest
from ranking.small_clicks import clicks

from cmml_tf.config import ScenarioConfig, SplitConfig
from cmml_tf.config.ranking import RankingDataConfig
from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.datasets.interactions import Interactions, without_catalogue
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.open_ranking_data import open_ranking_data
from cmml_tf.datasets.open_rating_data import open_rating_data
from cmml_tf.datasets.preparation.prepared_folder import save_prepared
from cmml_tf.datasets.tasks.scenarios import find_scenarios
from cmml_tf.datasets.tasks.splits import split_scenarios

BY_COLUMN = ScenarioConfig(definition="column:scenario", min_items=2, min_interactions=4)
CAMPAIGNS = 12


@pytest.fixture(scope="module")
def log():
    """Campaigns that begin one after the other, and clicks in none of them, also behind the last
    moment."""
    rng = np.random.default_rng(0)
    rows = [
        (f"c{campaign:02d}", rng.integers(30), rng.integers(8) + 4 * campaign, second)
        for campaign in range(CAMPAIGNS)
        for second in np.sort(rng.uniform(campaign, campaign + 3, 60)) * 3600
    ]
    end = (CAMPAIGNS + 3) * 3600
    rows += [(None, rng.integers(30), rng.integers(8), t) for t in rng.uniform(0, end, 200)]
    table = pd.DataFrame(rows, columns=["scenario", "user", "item", "timestamp"])
    return table.assign(value=1.0)


def _split(log, split, **options):
    found = find_scenarios(Interactions("log", log, without_catalogue()), BY_COLUMN)
    return split_scenarios(found, split, 0, **options)


def _pairs(users, items):
    return set(zip(users.tolist(), items.tolist(), strict=True))


def _of(scenario):
    return _pairs(
        np.concatenate([scenario.users, scenario.aside_users]),
        np.concatenate([scenario.items, scenario.aside_items]),
    )


@pytest.mark.parametrize("protocol", ["strict", "warm", "time"])
def test_every_pair_of_the_log_is_learned_from_and_every_scenario(log, protocol):
    split = SplitConfig(protocol=protocol, max_support_pairs=10)
    part, whole = _split(log, split), _split(log, split, whole=True)
    every = _pairs(log["user"], log["item"])
    rows = _pairs(*whole.training_pairs())
    assert {(whole.user_ids[user], whole.item_ids[item]) for user, item in rows} == every
    assert len(part.training_pairs()[0]) < len(rows)
    assert [one.name for one in whole.meta_train] == [f"c{n:02d}" for n in range(CAMPAIGNS)]
    assert not whole.validation
    assert len(whole.history_users) == len(rows)
    assert whole.user_ids.tolist() == part.user_ids.tolist()
    # Who only fits the embeddings of a scenario does so still.
    before = {one.name: one for one in part.meta_train}
    after = {one.name: one for one in whole.meta_train}
    for scenario in whole.meta_train:
        assert len(scenario.users)
        assert len(scenario.aside_users)
    for name in before.keys() & after.keys():
        assert _pairs(before[name].users, before[name].items) <= _of(after[name])


def test_of_a_prepared_folder_everything_that_it_holds(log, tmp_path):
    data = _split(log, SplitConfig(protocol="time"))
    save_prepared(data, tmp_path / "prepared", {})
    split = SplitConfig(background_fraction=0.0)
    read = (str(tmp_path / "prepared"), ScenarioConfig(), split, 0)
    part, whole = open_scenario_data(*read), open_scenario_data(*read, whole=True)
    names = {one.name for one in (*part.meta_train, *part.validation, *part.meta_test)}
    assert {one.name for one in whole.meta_train} == names
    held_out = [
        _pairs(users, items)
        for one in (*part.validation, *part.meta_test)
        for users, items in (
            (one.support_users, one.support_items),
            (one.evaluation_users, one.evaluation_items),
        )
    ]
    known = _pairs(*whole.training_pairs())
    assert known == _pairs(*part.training_pairs()).union(*held_out)
    assert _pairs(whole.history_users, whole.history_items) == known


def test_all_users_of_a_ranking_are_learned_from_and_all_items_ranked(tmp_path):
    table = clicks()
    asked = open_ranking_data(_written(table, tmp_path), RankingDataConfig(), None, 0)
    one = asked.user_ids[asked.asked.support.user[0]]
    table.loc[len(table)] = [one, 12345]  # which nobody else has taken
    path = _written(table, tmp_path)
    part = open_ranking_data(path, RankingDataConfig(), None, 0)
    whole = open_ranking_data(path, RankingDataConfig(), None, 0, whole=True)
    assert 12345 not in part.item_ids
    assert 12345 in whole.item_ids
    assert len(part.learned) < len(whole.learned) == len(whole.user_ids)
    assert len(whole.learned.item) == len(table)


def _written(table, folder):
    path = folder / "clicks.csv"
    table.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("split", ["warm-warm", "cold-warm"])
def test_all_users_with_enough_ratings_are_learned_from(split):
    config = RatingDataConfig(split=split, validation_fraction=0.1)
    part = open_rating_data("movielens-small", config, 0)
    whole = open_rating_data("movielens-small", config, 0, whole=True)
    assert len(whole.meta_train) > len(part.meta_train) + len(part.meta_test)
    assert len(np.unique(whole.meta_train.user)) == len(whole.meta_train)
    assert not len(whole.validation)
    assert len(whole.log.item) > len(part.log.item)
    assert len(whole.log.item) >= len(whole.meta_train.item)
