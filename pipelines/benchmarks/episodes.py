"""The training pipeline: elements of 32 episodes from 1,000 scenarios."""

import statistics
import time
from typing import Any

import numpy as np

from cmml_tf.config import EpisodeConfig
from cmml_tf.datasets.tasks.scenario_data import Scenario, ScenarioData
from cmml_tf.episodes import EpisodeSampler, sampled_steps

SCENARIOS, USERS, ITEMS, CANDIDATES = 1000, 20_000, 50_000, 200
_ELEMENTS = 300


def measure(rounds: int) -> dict[str, Any]:
    """Elements per CPU second of the process, all of its threads together."""
    data = _data()
    elements = iter(
        sampled_steps(EpisodeSampler(data, EpisodeConfig(tasks_per_step=32), seed=0).sample)
    )
    for _ in range(10):
        next(elements)
    rates = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(_ELEMENTS):
            next(elements)
        rates.append(_ELEMENTS / (time.process_time() - start))
    return {
        "scenarios": SCENARIOS,
        "pairs": sum(len(scenario.users) for scenario in data.meta_train),
        "episodes_per_element": 32,
        "elements_per_cpu_second": statistics.median(rates),
    }


def _data() -> ScenarioData:
    rng = np.random.default_rng(0)
    scenarios = []
    for number in range(SCENARIOS):
        candidates = np.sort(rng.choice(ITEMS, CANDIDATES, replace=False)).astype(np.int32)
        draws = int(rng.integers(300, 4000))
        drawn = rng.integers(USERS, size=draws) * CANDIDATES + rng.integers(CANDIDATES, size=draws)
        pairs = np.unique(drawn)
        users, items = pairs // CANDIDATES, candidates[pairs % CANDIDATES]
        scenarios.append(Scenario(f"s{number}", users.astype(np.int32), items, candidates))
    return ScenarioData(
        name="generated",
        user_ids=np.arange(USERS),
        item_ids=np.arange(ITEMS),
        meta_train=tuple(scenarios),
        validation=(),
        meta_test=(),
        history_users=np.concatenate([scenario.users for scenario in scenarios]),
        history_items=np.concatenate([scenario.items for scenario in scenarios]),
        counts={},
    )
