"""From shards of scenarios to the roles of the split (`datasets.splits` has the rules)."""

from collections.abc import Iterator

import numpy as np

from cmml_tf.datasets.preparation.interaction_stages import pair_rows
from cmml_tf.datasets.preparation.plan import (
    CLAIMS,
    PAIRS,
    ROLES,
    SCENARIOS,
    Preparation,
    is_in,
    packed,
)
from cmml_tf.datasets.preparation.work_folder import Arrays, Counts
from cmml_tf.datasets.tasks.held_out import draw_support
from cmml_tf.datasets.tasks.splits import foreground, scenario_generator

META_TRAIN, VALIDATION, META_TEST = "meta_train", "validation", "meta_test"
ROLE_CODES = {META_TRAIN: 0, VALIDATION: 1, META_TEST: 2}
"""Numbers of the roles in the array of `ROLES`; -1 is a scenario that the filters left out."""
FIELDS = {
    META_TRAIN: ("users", "items", "candidates"),
    **dict.fromkeys(
        (VALIDATION, META_TEST),
        ("support_users", "support_items", "evaluation_users", "evaluation_items", "candidates"),
    ),
}
BACKGROUND, BEYOND, DROPPED = "background pairs", "beyond cap", "dropped"
LEARNT, SUPPORT, ASKED = "pairs", "support pairs", "evaluation pairs"


def hold_out_shard(
    prepared: Preparation, role: str, before: int, shard: int
) -> tuple[Arrays, Counts]:
    """The scenarios of a shard that are held out: support and evaluation pairs.

    Args:
      prepared: The preparation.
      role: `meta_test` or `validation`.
      before: How many roles claim their pairs first.
      shard: The task.
    """
    claims, roles = _claimed(prepared, before), prepared.folder.load(ROLES, 0)
    is_evaluation = roles["is_evaluation"]
    scenarios, codes, claimed, unused = [], [], [], []
    counts = {DROPPED: 0, SUPPORT: 0, ASKED: 0}
    for code, users, items, candidates, rng in _scenarios(prepared, roles, role, shard):
        keys = _keys(roles, users, items)
        free = foreground(users, prepared.config.split, rng) & ~is_in(keys, claims)
        users, items, keys = users[free], items[free], keys[free]
        asked = is_evaluation[users]
        if asked.all() or not asked.any():
            counts[DROPPED] += 1
            continue
        places = np.flatnonzero(~asked)
        _, support = draw_support(
            users[places], places, prepared.config.split.max_support_pairs, rng
        )
        scenarios.append((users[support], items[support], users[asked], items[asked], candidates))
        codes.append(code)
        claimed += [keys[support], keys[asked]]
        unused.append(keys[~asked])
        counts[SUPPORT] += len(support)
        counts[ASKED] += int(asked.sum())
    return _role_arrays(role, scenarios, codes, claimed, unused), counts


def learn_shard(prepared: Preparation, before: int, shard: int) -> tuple[Arrays, Counts]:
    """The scenarios of a shard that are learnt from; `before` roles claim their pairs first."""
    claims, roles = _claimed(prepared, before), prepared.folder.load(ROLES, 0)
    is_evaluation = roles["is_evaluation"]
    scenarios, codes, claimed = [], [], []
    counts = {DROPPED: 0, LEARNT: 0}
    for code, users, items, candidates, rng in _scenarios(prepared, roles, META_TRAIN, shard):
        keys = _keys(roles, users, items)
        free = foreground(users, prepared.config.split, rng) & ~is_in(keys, claims)
        free &= ~is_evaluation[users]
        if not free.any() or len(candidates) < 2:
            counts[DROPPED] += 1
            continue
        scenarios.append((users[free], items[free], candidates))
        codes.append(code)
        claimed.append(keys[free])
        counts[LEARNT] += int(free.sum())
    return _role_arrays(META_TRAIN, scenarios, codes, claimed, []), counts


def remainder_part(prepared: Preparation, task: int) -> tuple[Arrays, Counts]:
    """Background pairs of a part, and the history of those of its users who are trained on."""
    user, item = pair_rows(prepared, prepared.folder.load(PAIRS, task))
    claims = prepared.folder.load(CLAIMS, 2)
    roles = prepared.folder.load(ROLES, 0)
    keys = _keys(roles, user, item)
    claimed, unused = is_in(keys, claims["claimed"]), is_in(keys, claims["unused"])
    background, known = ~claimed & ~unused, ~roles["is_evaluation"][user]
    arrays = {
        "background_user": user[background],
        "background_item": item[background],
        "history_user": user[known],
        "history_item": item[known],
    }
    return {name: column.astype(np.int32) for name, column in arrays.items()}, {
        BACKGROUND: int(background.sum()),
        BEYOND: int((unused & ~claimed).sum()),
    }


def _scenarios(
    prepared: Preparation, roles: Arrays, role: str, shard: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray, np.random.Generator]]:
    """(number, users, items, candidates, generator) of the shard's scenarios of a role."""
    arrays = prepared.folder.load(SCENARIOS, shard)
    for place, code in enumerate(arrays["scenario"]):
        if roles["role"][code] != ROLE_CODES[role]:
            continue
        rows = slice(arrays["start"][place], arrays["start"][place + 1])
        bounds = arrays["candidates_start"][place : place + 2]
        name = str(roles["names"][code])
        yield (
            int(code),
            arrays["user"][rows],
            arrays["item"][rows],
            arrays["candidates"][bounds[0] : bounds[1]],
            scenario_generator(prepared.config.seed, name),
        )


def _role_arrays(
    role: str,
    scenarios: list[tuple[np.ndarray, ...]],
    codes: list[int],
    claimed: list[np.ndarray],
    unused: list[np.ndarray],
) -> Arrays:
    none = np.zeros(0, np.int64)
    arrays = {
        "number": np.array(codes, np.int32),
        "claimed": np.unique(np.concatenate([none, *claimed])),
        "unused": np.unique(np.concatenate([none, *unused])),
    }
    for place, field in enumerate(FIELDS[role]):
        arrays |= packed(field, [scenario[place] for scenario in scenarios])
    return arrays


def _claimed(prepared: Preparation, before: int) -> np.ndarray:
    """Keys of the pairs that the first so many roles have claimed, sorted."""
    if not before:
        return np.zeros(0, np.int64)
    return prepared.folder.load(CLAIMS, before - 1)["claimed"]


def _keys(roles: Arrays, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """int64 [N], a number for each pair."""
    return users.astype(np.int64) * int(roles["items"]) + items
