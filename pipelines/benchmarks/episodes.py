"""The training pipeline: elements of 32 episodes from 1,000 scenarios, and building samplers."""

import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
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
    that hold these; and what a process of its own holds more at the peak. Of the sampler medians
    over rounds, and of their ratios, 10,000 scenarios to 1,000; of the factors once.
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
            "sampler": _samplers(rounds),
            "leave_scenario_out": {
                f"{count} scenarios": _alone(_factors, count) for count in BUILT
            },
        },
    }


def _samplers(rounds: int) -> dict[str, Any]:
    built = [{count: _alone(_sampler, count) for count in BUILT} for _ in range(rounds)]
    ratios = [one[BUILT[-1]]["cpu_seconds"] / one[BUILT[-2]]["cpu_seconds"] for one in built]
    return {
        **{
            f"{count} scenarios": {
                name: statistics.median(one[count][name] for one in built)
                for name in built[0][count]
            }
            for count in BUILT
        },
        "ratio": statistics.median(ratios),
        "ratios": sorted(ratios),
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
    before = _peak_mib()
    start = time.process_time()
    build()
    return {
        "pairs": sum(len(scenario.users) for scenario in data.meta_train),
        "cpu_seconds": time.process_time() - start,
        "added_mib": _peak_mib() - before,
    }


def _peak_mib() -> float:
    """Of this program: `ru_maxrss` is that of the process that started it, if this was larger."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


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
