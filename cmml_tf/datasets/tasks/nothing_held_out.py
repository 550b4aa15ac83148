"""Scenario data whose held-out scenarios are learned from as well: what a refit is trained on.

Held-out scenarios stay in their place, but to ask them says nothing any more. Each becomes a
meta-training scenario by the rules for those (`scenario_parts`), all its users included; what
the protocol had left out is known too.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from cmml_tf.config import SplitConfig
from cmml_tf.datasets.tasks.protocols import SettledProtocol
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, ScenarioData
from cmml_tf.datasets.tasks.scenario_parts import Claims, ScenarioRows, SplitRules
from cmml_tf.datasets.tasks.scenario_roles import META_TRAIN


def learned_whole(
    data: ScenarioData,
    scenarios: Iterable[ScenarioRows],
    users: np.ndarray,
    items: np.ndarray,
    split: SplitConfig,
    seed: int,
) -> ScenarioData:
    """The data with every scenario and every pair of the log to learn from.

    Args:
      data: As it was split.
      scenarios: All scenarios of the log.
      users, items: int32 [P], rows of the log's pairs, each once.
      split: Says which share of a scenario's users only fits the embeddings.
      seed: Fixes these users, as in the split.
    """
    rules = _rules(data, split, seed)
    made, claims, _ = rules.take(META_TRAIN, scenarios, Claims.none())
    background, history, _ = rules.rest(users, items, None, claims)
    return replace(
        data,
        meta_train=tuple(one for one in made if one is not None),
        validation=(),
        background_users=users[background],
        background_items=items[background],
        history_users=users[history],
        history_items=items[history],
        evaluation_users=data.evaluation_users[:0],
    )


def divided_learned_whole(data: ScenarioData, split: SplitConfig, seed: int) -> ScenarioData:
    """The same of data that came divided: what it had left out is not known.

    Args:
      data: Divided.
      split: As of `learned_whole`; embeddings that the data ships need no such share.
      seed: Fixes who is in it.
    """
    if data.user_embeddings is not None:
        split = replace(split, background_fraction=0.0)
    rules = _rules(data, split, seed)
    held_out = [*data.validation, *data.meta_test]
    made, _, _ = rules.take(META_TRAIN, map(_rows, held_out), Claims.none())
    pairs = [np.stack([data.history_users, data.history_items])]
    pairs += [np.stack(_pairs(scenario)) for scenario in held_out]
    keys = np.unique(rules.keys(*np.concatenate(pairs, axis=1)))
    users, items = (part.astype(np.int32) for part in np.divmod(keys, rules.items))
    return replace(
        data,
        meta_train=(*data.meta_train, *(one for one in made if one is not None)),
        validation=(),
        history_users=users,
        history_items=items,
        evaluation_users=data.evaluation_users[:0],
    )


def _rules(data: ScenarioData, split: SplitConfig, seed: int) -> SplitRules:
    nobody = np.zeros(len(data.user_ids), bool)
    return SplitRules(split, seed, SettledProtocol(data.protocol), nobody, len(data.item_ids))


def _rows(scenario: HeldOutScenario) -> ScenarioRows:
    users, items = _pairs(scenario)
    order = np.lexsort((items, users))
    return ScenarioRows(scenario.name, users[order], items[order], scenario.candidates, None)


def _pairs(scenario: HeldOutScenario) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.concatenate([scenario.support_users, scenario.evaluation_users]),
        np.concatenate([scenario.support_items, scenario.evaluation_items]),
    )
