"""The embedded ratings of lectures: the same lecturers, liked and disliked."""

import numpy as np

from cmml_tf.config import ScenarioConfig, SplitConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.sources.insteval import load_insteval


def test_each_rating_that_is_not_in_the_middle_is_in_a_scenario_of_its_side() -> None:
    read = load_insteval()
    assert len(read.table) == 73_421
    in_none = read.table["scenario"].isna().to_numpy()
    np.testing.assert_array_equal(in_none, read.table["value"].to_numpy() == 3)
    liked = read.table["scenario"].str.endswith(":liked").fillna(False).to_numpy()
    np.testing.assert_array_equal(liked, read.table["value"].to_numpy() > 3)


def test_it_opens_by_name_with_its_own_scenarios() -> None:
    data = open_scenario_data("insteval", ScenarioConfig(), SplitConfig(), seed=0)
    assert data.counts["scenarios kept"] == 74
    assert len(data.meta_test) == 18
