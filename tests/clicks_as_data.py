"""Made clicks as the data set of which they are the training scenarios."""

import numpy as np

from cmml_tf.config import Protocol
from cmml_tf.datasets.tasks.scenario_data import Scenario, ScenarioData
from cmml_tf.embeddings.click_choices import Clicks


def scenario_data(made: Clicks, protocol: Protocol = "strict") -> ScenarioData:
    none = np.zeros(0, np.int32)
    scenarios = []
    for number in range(made.scenario_count):
        own = made.scenario == number
        users, items = made.users[own].astype(np.int32), made.items[own].astype(np.int32)
        scenarios.append(Scenario(f"s{number}", users, items, np.unique(items), none, none))
    return ScenarioData(
        "made", np.arange(made.user_count), np.arange(made.item_count), tuple(scenarios), (), (),
        none, none, none, none, None, None, {}, protocol=protocol,
    )  # fmt: skip
