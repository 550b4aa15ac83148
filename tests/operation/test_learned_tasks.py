"""An export says which tasks it has learned from, and those are left out when it is asked."""

import numpy as np
import pandas as pd
import pytest
from operation.conftest import LOG, export_untrained

from cmml_tf.config import ScenarioConfig, SplitConfig
from cmml_tf.datasets.open_data import open_scenario_data, open_scenario_log
from cmml_tf.hashed_ids import hash_user_ids
from cmml_tf.serving.version.learned_tasks import (
    are_learned,
    read_learned_tasks,
    write_learned_tasks,
)


def test_names_are_recorded_as_numbers_and_found_again(tmp_path):
    write_learned_tasks(tmp_path, ["spring", 7, "spring"])
    learned = read_learned_tasks(tmp_path)
    assert (learned.dtype, len(learned)) == (np.uint64, 2)
    assert are_learned(["7", "summer", "spring"], learned).tolist() == [True, False, True]
    assert read_learned_tasks(tmp_path / "elsewhere").tolist() == []


def test_scenarios_that_are_trained_on_are_learned_and_held_out_ones_are_not(exports):
    data = open_scenario_data(LOG, ScenarioConfig(), SplitConfig(), seed=0)
    learned = read_learned_tasks(exports.poor)
    assert are_learned([one.name for one in data.meta_train], learned).all()
    assert not are_learned([one.name for one in data.meta_test], learned).any()


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "scenario": np.repeat([f"page {n}" for n in range(6)], 200),
            "user": rng.integers(0, 60, 1200),
            "item": rng.integers(0, 40, 1200),
        }
    )
    path = tmp_path_factory.mktemp("log") / "log.csv"
    frame.to_csv(path, index=False)
    return str(path)


def _log(clicks, are_new=None, **split):
    config = ScenarioConfig(min_items=2, min_interactions=10)
    return open_scenario_log(clicks, config, SplitConfig(**split), 0, are_new=are_new)


def test_of_a_new_log_every_scenario_is_asked_but_those_that_are_learned(clicks):
    assert len(_log(clicks).meta_test) == 6
    names = [one.name for one in _log(clicks, lambda names: np.array(names) > "page 3").meta_test]
    assert names == ["page 4", "page 5"]
    # One alone has no interval: then all are asked, and the protocol says warm.
    assert len(_log(clicks, lambda names: np.array(names) > "page 4").meta_test) == 6
    for scenario in _log(clicks).meta_test:
        assert not set(scenario.support_users) & set(scenario.evaluation_users)


@pytest.mark.slow
def test_users_of_an_export_with_hashed_ids_are_recorded_as_hashes(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"user": np.repeat(np.arange(60), 20), "item": rng.integers(0, 50, 1200)})
    frame.to_csv(tmp_path / "log.csv", index=False)
    (tmp_path / "key").write_text("a key of more than sixteen bytes")
    version = export_untrained(
        "ranking",
        tmp_path,
        None,
        data=str(tmp_path / "log.csv"),
        hash_user_ids=str(tmp_path / "key"),
        model={"folds": 2, "dropouts": (0.5,), "shrinkages": (0.0,)},
    )
    learned = read_learned_tasks(version)
    hashed = hash_user_ids(range(60), (tmp_path / "key").read_bytes())
    assert len(learned) == 48
    assert are_learned(hashed, learned).sum() == 48
    assert not are_learned(range(60), learned).any()
