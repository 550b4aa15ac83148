"""A log that no model has learned from: all of its scenarios are held out, by the usual rules."""

from dataclasses import replace

import numpy as np

from cmml_tf.config import SplitConfig
from cmml_tf.datasets.tasks.protocols import (
    STRICT,
    LogTimes,
    SettledProtocol,
    settle_protocol,
)
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, ScenarioData
from cmml_tf.datasets.tasks.scenario_parts import DROPPED, Claims, SplitRules
from cmml_tf.datasets.tasks.scenario_roles import META_TEST
from cmml_tf.datasets.tasks.scenarios import ScenarioPairs
from cmml_tf.datasets.tasks.splits import scenario_rows, scenario_starts
from cmml_tf.types import AreNew


def hold_out_all(
    pairs: ScenarioPairs, split: SplitConfig, seed: int, are_new: AreNew | None = None
) -> ScenarioData:
    """Makes a meta-test scenario of each scenario; nothing is left to learn from.

    Where scenarios begin one after the other and the protocol is not asked to be another one, the
    first half of a scenario's clicks supports and later ones are asked; else some of its users
    support and the others are asked.

    Args:
      pairs: The scenarios.
      split: Protocol, share of users, and cap of the support pairs.
      seed: Fixes users and the order of support pairs.
      are_new: Which scenarios are asked; None: all. Where it leaves fewer than two, all are.

    Raises:
      ValueError: No scenario has both support and evaluation pairs.
    """
    names = pairs.scenario_names
    asked = np.ones(len(names), bool) if are_new is None else are_new(names)
    if asked.sum() < 2:
        asked = np.ones(len(names), bool)
    protocol = _protocol(pairs, split)
    nobody = np.zeros(len(pairs.user_ids), bool)
    rules = SplitRules(split, seed, protocol, nobody, len(pairs.item_ids))
    made, _, counts = rules.take(
        META_TEST, scenario_rows(pairs, np.flatnonzero(asked)), Claims.none()
    )
    scenarios = tuple(one for one in made if isinstance(one, HeldOutScenario))
    if not scenarios:
        raise ValueError(
            f"A scenario of {pairs.name} must have pairs to support and others to be asked. "
            f"Received: {len(names)} scenarios, none of which has both."
        )
    return ScenarioData(
        name=pairs.name,
        user_ids=pairs.user_ids,
        item_ids=pairs.item_ids,
        meta_train=(),
        validation=(),
        meta_test=scenarios,
        counts=pairs.counts
        | {
            "scenarios that a model has learned from, left out": int((~asked).sum()),
            "scenarios without support or evaluation pairs, dropped": counts[DROPPED],
            "scenarios that are asked": len(scenarios),
        },
        protocol=protocol.name,
        because=protocol.because,
    )


def _protocol(pairs: ScenarioPairs, split: SplitConfig) -> SettledProtocol:
    if split.protocol in ("strict", "warm") or pairs.times is None:
        return STRICT
    times = LogTimes(pairs.untimed, pairs.times.copy, scenario_starts(pairs))
    settled = settle_protocol(pairs.name, replace(split, protocol="auto", time=None), times)
    # All that is asked is later than everything that was learned from.
    return replace(settled, moment=None if settled.moment is None else -np.inf)
