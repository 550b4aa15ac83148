"""From shards of scenarios to the roles of the split (`tasks.scenario_parts` has the rules)."""

from collections.abc import Iterator

import numpy as np

from cmml_tf.datasets.preparation.interaction_stages import pair_rows
from cmml_tf.datasets.preparation.plan import (
    CLAIMS,
    PAIRS,
    ROLES,
    SCENARIOS,
    Preparation,
    packed,
)
from cmml_tf.datasets.preparation.work_folder import Arrays, Counts
from cmml_tf.datasets.tasks.scenario_parts import Claims, ScenarioRows, SplitRules
from cmml_tf.datasets.tasks.scenario_roles import META_TEST, META_TRAIN, VALIDATION

ROLE_CODES = {META_TRAIN: 0, VALIDATION: 1, META_TEST: 2}
"""Numbers of the roles in the array of `ROLES`; -1 is a scenario that the filters left out."""
FIELDS = {
    META_TRAIN: ("users", "items", "candidates", "aside_users", "aside_items"),
    **dict.fromkeys(
        (VALIDATION, META_TEST),
        ("support_users", "support_items", "evaluation_users", "evaluation_items", "candidates"),
    ),
}


def role_shard(prepared: Preparation, role: str, before: int, shard: int) -> tuple[Arrays, Counts]:
    """The scenarios of a role in a shard, and the pairs that they claim.

    Args:
      prepared: The preparation.
      role: `meta_test`, `validation` or `meta_train`.
      before: How many roles claim their pairs first.
      shard: The task.
    """
    roles = prepared.folder.load(ROLES, 0)
    arrays = prepared.folder.load(SCENARIOS, shard)
    places = np.flatnonzero(roles["role"][arrays["scenario"]] == ROLE_CODES[role])
    made, claims, counts = _rules(prepared, roles).take(
        role, _scenarios(roles, arrays, places), claims_of(prepared, before)
    )
    kept = [place for place, one in enumerate(made) if one is not None]
    result = {"number": arrays["scenario"][places][kept].astype(np.int32), **claims._asdict()}
    for field in FIELDS[role]:
        result |= packed(field, [getattr(made[place], field) for place in kept])
    return result, dict(counts)


def remainder_part(prepared: Preparation, task: int) -> tuple[Arrays, Counts]:
    """Background pairs of a part, and the history of those of its users who are trained on."""
    arrays = prepared.folder.load(PAIRS, task)
    user, item = pair_rows(prepared, arrays)
    times = None if prepared.protocol.moment is None else arrays["time"]
    rules = _rules(prepared, prepared.folder.load(ROLES, 0))
    background, history, counts = rules.rest(user, item, times, claims_of(prepared, len(FIELDS)))
    return {
        "background_user": user[background].astype(np.int32),
        "background_item": item[background].astype(np.int32),
        "history_user": user[history].astype(np.int32),
        "history_item": item[history].astype(np.int32),
    }, dict(counts)


def claims_of(prepared: Preparation, before: int) -> Claims:
    """What the first so many roles have claimed."""
    if not before:
        return Claims.none()
    arrays = prepared.folder.load(CLAIMS, before - 1)
    return Claims(**{name: arrays[name] for name in Claims._fields})


def _rules(prepared: Preparation, roles: Arrays) -> SplitRules:
    config = prepared.config
    return SplitRules(
        config.split, config.seed, prepared.protocol, roles["is_evaluation"], int(roles["items"])
    )


def _scenarios(roles: Arrays, arrays: Arrays, places: np.ndarray) -> Iterator[ScenarioRows]:
    for place in places:
        rows = slice(arrays["start"][place], arrays["start"][place + 1])
        pool = slice(arrays["pool_start"][place], arrays["pool_start"][place + 1])
        yield ScenarioRows(
            name=str(roles["names"][arrays["scenario"][place]]),
            users=arrays["user"][rows],
            items=arrays["item"][rows],
            pool=arrays["pool"][pool],
            times=arrays["time"][rows] if "time" in arrays else None,
        )
