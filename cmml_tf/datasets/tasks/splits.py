"""Who is trained on and who is asked: the split of data in memory (`scenario_parts` has the rules).

* Scenarios are meta-train, validation or meta-test ones, disjoint.
* Users are divided once (not by `time`): no pair of an evaluation user is trained on or supports.
* What training may know of a held-out scenario is the protocol.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from cmml_tf.config import SplitConfig
from cmml_tf.datasets.tasks import scenario_parts
from cmml_tf.datasets.tasks.earlier import Earlier
from cmml_tf.datasets.tasks.nothing_held_out import learned_whole
from cmml_tf.datasets.tasks.protocols import LogTimes, SettledProtocol, iso_time, settle_protocol
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.datasets.tasks.scenario_parts import Claims, ScenarioRows, SplitRules
from cmml_tf.datasets.tasks.scenario_roles import (
    META_TEST,
    META_TRAIN,
    ORDER_OF_ROLES,
    VALIDATION,
    check_left,
    choose_evaluation_users,
    choose_roles,
)
from cmml_tf.datasets.tasks.scenarios import ScenarioPairs


def split_scenarios(
    pairs: ScenarioPairs,
    split: SplitConfig,
    seed: int,
    whole: bool = False,
    earlier: Earlier | None = None,
) -> ScenarioData:
    """Splits scenarios and users for meta-learning.

    A held-out scenario that is left without support or without evaluation pairs (one of a single
    user, for instance), a meta-train scenario left without pairs, and any with a single item are
    dropped and counted; their pairs become background. So is one of which `time` leaves fewer than
    two pairs whose user did not take all of its items.

    Args:
      pairs: The scenarios.
      split: The protocol, shares and caps.
      seed: Fixes scenarios, users and the order of support pairs.
      whole: Held-out scenarios are learned from as well (`nothing_held_out`).
      earlier: What a run that is continued has learned from is not held out; None: nothing.

    Raises:
      ValueError: There are too few scenarios or users for the shares asked for, none is left, or
        the log's times do not allow the protocol.
    """
    times = (
        None
        if pairs.times is None
        else LogTimes(pairs.untimed, pairs.times.copy, scenario_starts(pairs))
    )
    protocol = settle_protocol(pairs.name, split, times)
    starts = None if times is None else times.starts
    names = np.array(pairs.scenario_names, object)
    before = None if earlier is None or whole else earlier.tasks
    roles = choose_roles(pairs.name, names, split, seed, protocol, starts, before)
    is_evaluation = choose_evaluation_users(pairs.user_ids, split, seed, protocol.name)
    rules = SplitRules(split, seed, protocol, is_evaluation, len(pairs.item_ids))
    scenarios, claims = {}, Claims.none()
    counts = {}
    for role in ORDER_OF_ROLES:
        made, new, counts[role] = rules.take(role, scenario_rows(pairs, roles[role]), claims)
        scenarios[role] = tuple(one for one in made if one is not None)
        check_left(pairs.name, role, len(scenarios[role]), len(roles[role]), protocol.name)
        claims = Claims.together([claims, new])
    counted = {role: len(kept) for role, kept in scenarios.items()}
    pair_times = None if protocol.moment is None else pairs.times
    background, history, rest = rules.rest(pairs.users, pairs.items, pair_times, claims)
    data = ScenarioData(
        name=pairs.name,
        user_ids=pairs.user_ids,
        item_ids=pairs.item_ids,
        meta_train=scenarios[META_TRAIN],
        validation=scenarios[VALIDATION],
        meta_test=scenarios[META_TEST],
        background_users=pairs.users[background],
        background_items=pairs.items[background],
        history_users=pairs.users[history],
        history_items=pairs.items[history],
        user_embeddings=pairs.user_embeddings,
        item_embeddings=pairs.item_embeddings,
        counts=pairs.counts | split_counts(protocol, is_evaluation, counted, counts, rest),
        protocol=protocol.name,
        because=protocol.because,
        moment=None if protocol.moment is None else iso_time(protocol.moment),
        evaluation_users=np.flatnonzero(is_evaluation).astype(np.int32),
    )
    if not whole:
        return data
    every = scenario_rows(pairs, np.arange(len(names)))
    return learned_whole(data, every, pairs.users, pairs.items, split, seed)


def split_counts(
    protocol: SettledProtocol,
    is_evaluation: np.ndarray,
    scenarios: Mapping[str, int],
    counts: Mapping[str, Mapping[str, int]],
    rest: Mapping[str, int],
) -> dict[str, int]:
    """What a split has come to, in words.

    Args:
      protocol: By which it was made.
      is_evaluation: bool [U].
      scenarios: How many of each role there are.
      counts: What `SplitRules.take` counted for each role.
      rest: What `SplitRules.rest` counted.
    """
    parts = scenario_parts
    held_out = {
        f"{role.replace('_', '-')} {kind}": counts[role][kind]
        for role in (VALIDATION, META_TEST)
        for kind in (parts.SUPPORT, parts.ASKED)
    }
    of_time = {
        "pairs after the moment, in no scenario that begins then, left out": rest[parts.LATER],
        "pairs of meta-test scenarios that were taken before the moment, too": rest[parts.REPEATED],
    }
    label = "support pairs beyond max_support_pairs, unused"
    return {
        "scenarios without support, evaluation or training pairs, dropped": sum(
            of_role[parts.DROPPED] for of_role in counts.values()
        ),
        "evaluation users": int(is_evaluation.sum()),
        "meta-train scenarios": scenarios[META_TRAIN],
        "validation scenarios": scenarios[VALIDATION],
        "meta-test scenarios": scenarios[META_TEST],
        "background pairs": rest[parts.BACKGROUND],
        "meta-train pairs": counts[META_TRAIN][parts.LEARNT],
        **held_out,
        **(of_time if protocol.name == "time" else {label: rest[parts.BEYOND]}),
    }


def scenario_rows(pairs: ScenarioPairs, numbers: np.ndarray) -> Iterator[ScenarioRows]:
    """All pairs of each of these scenarios, by their numbers."""
    for number in numbers:
        own = slice(*np.searchsorted(pairs.scenario, [number, number + 1]))
        pool = slice(*np.searchsorted(pairs.pool_scenario, [number, number + 1]))
        pair = pairs.pair[own]
        yield ScenarioRows(
            name=pairs.scenario_names[number],
            users=pairs.users[pair],
            items=pairs.items[pair],
            pool=pairs.pool_item[pool],
            times=None if pairs.member_times is None else pairs.member_times[own],
        )


def scenario_starts(pairs: ScenarioPairs) -> np.ndarray:
    """float64 [S]: when each scenario begins."""
    starts = np.full(len(pairs.scenario_names), np.inf)
    np.minimum.at(starts, pairs.scenario, pairs.member_times)
    return starts
