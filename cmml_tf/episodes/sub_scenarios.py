"""Parts of scenarios as further scenarios to learn from: augmentation where there are few."""

from collections.abc import Sequence

import numpy as np

from cmml_tf.datasets.tasks.scenario_data import Scenario

_FEWEST_PAIRS = 2


def with_sub_scenarios(
    scenarios: Sequence[Scenario], parts: int, seed: int
) -> tuple[Scenario, ...]:
    """The scenarios, and random parts of each: half of its items and the pairs with them.

    A part is a page of its own, with other items in competition and another popular few, so that
    what is learned has to come from the support set more often. A part of fewer than two items
    or two pairs is left out.

    Args:
      scenarios: Meta-training scenarios.
      parts: Parts of each scenario; 0 returns the scenarios alone.
      seed: Fixes the parts.

    Returns:
      The given scenarios first, then their parts, named `NAME, part k`.
    """
    if parts == 0:
        return tuple(scenarios)
    added = []
    for place, scenario in enumerate(scenarios):
        rng = np.random.default_rng([seed, place])
        for number in range(1, parts + 1):
            count = (len(scenario.candidates) + 1) // 2
            candidates = np.sort(rng.choice(scenario.candidates, count, replace=False))
            inside = np.isin(scenario.items, candidates)
            if count < 2 or inside.sum() < _FEWEST_PAIRS:
                continue
            users, items = scenario.users[inside], scenario.items[inside]
            added.append(Scenario(f"{scenario.name}, part {number}", users, items, candidates))
    return (*scenarios, *added)
