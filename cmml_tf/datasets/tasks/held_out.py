"""Held-out scenarios: one half of the users supports, the other is asked (paper section 4.1)."""

import numpy as np

from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario


def draw_support(
    users: np.ndarray, items: np.ndarray, max_pairs: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The support pairs of a held-out scenario: whole users in random order, until the cap.

    The last user who still fits in part is cut. The pairs are then shuffled, so that any leading
    part of them is a fair sample.

    Args:
      users: int32 [N], user rows of the scenario's supporting half.
      items: int32 [N], item rows of the same pairs.
      max_pairs: Pairs at the most.
      rng: Source of randomness.

    Returns:
      `(users, items)`, int32 [min(N, max_pairs)] each.
    """
    distinct, position = np.unique(users, return_inverse=True)
    order_of_user = rng.permutation(len(distinct))
    chosen = np.argsort(order_of_user[position], kind="stable")[:max_pairs]
    chosen = rng.permutation(chosen)
    return users[chosen].astype(np.int32), items[chosen].astype(np.int32)


def halve_users(
    name: str,
    users: np.ndarray,
    items: np.ndarray,
    candidates: np.ndarray,
    max_support_pairs: int,
    rng: np.random.Generator,
) -> HeldOutScenario:
    """A held-out scenario from all its pairs: a random half of its users supports.

    Args:
      name: Name of the scenario.
      users: int32 [N], user rows.
      items: int32 [N], item rows.
      candidates: int32 [I], sorted item rows that are ranked.
      max_support_pairs: Support pairs at the most; what is beyond is not used.
      rng: Source of randomness.

    Raises:
      ValueError: The scenario has a single user, who cannot both support and be asked.
    """
    distinct = np.unique(users)
    if len(distinct) < 2:
        raise ValueError(
            f"Scenario {name!r} has {len(distinct)} user(s), and a held-out scenario needs at "
            "least 2: one half supports, the other is asked. Remove the scenario or add users."
        )
    supporting = np.isin(users, rng.permutation(distinct)[: len(distinct) // 2])
    support_users, support_items = draw_support(
        users[supporting], items[supporting], max_support_pairs, rng
    )
    return HeldOutScenario(
        name=name,
        support_users=support_users,
        support_items=support_items,
        evaluation_users=users[~supporting].astype(np.int32),
        evaluation_items=items[~supporting].astype(np.int32),
        candidates=candidates.astype(np.int32),
    )


def validation_size(scenarios: int, fraction: float) -> int:
    """How many of the scenarios steer training: the rounded share, at least 1 unless it is 0."""
    return max(1, round(scenarios * fraction)) if fraction > 0 else 0
