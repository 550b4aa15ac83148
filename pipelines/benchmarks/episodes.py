"""The training pipeline: elements of 32 episodes from 1,000 scenarios, and building samplers."""

import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from cmml_tf.config import EpisodeConfig, FactorConfig
from cmml_tf.datasets.tasks.scenario_data import Scenario, ScenarioData
from cmml_tf.embeddings.leave_scenario_out import fit_scenario_factors
from cmml_tf.embeddings.training_tables import clicks_of, training_tables
from cmml_tf.episodes import EpisodeSampler, sampled_steps

SCENARIOS, USERS, ITEMS, CANDIDATES = 1000, 20_000, 50_000, 200
_ELEMENTS = 300
BUILT = (100, 1_000, 10_000)
_DRAWS = 300
"""Draws of pairs of a scenario, where many are built."""


def measure(rounds: int) -> dict[str, Any]:
    """Elements per CPU second of the process, all of its threads together, and what is before.

    `building`: CPU seconds from the data of so many scenarios, with as many times the pairs, to
    the sampler, and to the factors that leave each scenario out, with the tables of `cmml-matching`
    that hold these; and what a process of its own holds more at the peak. Once each.
    """
    data = _data(SCENARIOS, (300, 4000))
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
        "building": {
            what: {f"{count} scenarios": _alone(build, count) for count in BUILT}
            for what, build in (("sampler", _sampler), ("leave_scenario_out", _factors))
        },
    }


def _alone(build: Callable[[int], dict[str, float]], count: int) -> dict[str, float]:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(build, count).result()


def _sampler(count: int) -> dict[str, float]:
    data = _data(count, (_DRAWS, _DRAWS + 1))
    return _built(data, lambda: EpisodeSampler(data, EpisodeConfig(), seed=0))


def _factors(count: int) -> dict[str, float]:
    data = _data(count, (_DRAWS, _DRAWS + 1))
    return _built(
        data,
        lambda: training_tables(data, fit_scenario_factors(clicks_of(data), FactorConfig(), 0)),
    )


def _built(data: ScenarioData, build: Callable[[], object]) -> dict[str, float]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    build()
    return {
        "pairs": sum(len(scenario.users) for scenario in data.meta_train),
        "cpu_seconds": time.process_time() - start,
        "added_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
    }


def _data(count: int, draws_between: tuple[int, int]) -> ScenarioData:
    rng = np.random.default_rng(0)
    scenarios = []
    for number in range(count):
        candidates = np.sort(rng.choice(ITEMS, CANDIDATES, replace=False)).astype(np.int32)
        draws = int(rng.integers(*draws_between))
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
