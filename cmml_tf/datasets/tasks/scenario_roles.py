"""Which scenarios are held out, and which users are only ever asked."""

import numpy as np

from cmml_tf.config import Protocol, SplitConfig
from cmml_tf.datasets.tasks.held_out import validation_size
from cmml_tf.datasets.tasks.keyed_draws import order_of_ids, order_of_names
from cmml_tf.datasets.tasks.protocols import SettledProtocol, iso_time

META_TRAIN, VALIDATION, META_TEST = "meta_train", "validation", "meta_test"
ORDER_OF_ROLES = (META_TEST, VALIDATION, META_TRAIN)
"""As they take pairs: what meta-test holds is never validated on or trained."""


def choose_roles(
    name: str,
    scenario_names: np.ndarray,
    split: SplitConfig,
    seed: int,
    protocol: SettledProtocol,
    starts: np.ndarray | None,
    learned_before: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Numbers of the meta-test, validation and meta-train scenarios of a data set, sorted.

    `time`: meta-test are those that begin at the moment or later, validation the last of the
    others. Else both are drawn by their names.

    Args:
      name: Of the data, for messages.
      scenario_names: The scenarios.
      split: Shares.
      seed: Fixes what is drawn.
      protocol: Says what is held out.
      starts: float64 [S], when each begins; needed for `time`.
      learned_before: Names of those that a run that is continued has learned from, object of str:
        these are never held out.

    Raises:
      ValueError: None is asked, or fewer than two are left to learn from.
    """
    total = len(scenario_names)
    no_longer_new = np.isin(scenario_names, [] if learned_before is None else learned_before)
    if protocol.moment is None:
        order = order_of_names(seed, scenario_names)[::-1]
        order = np.concatenate([order[no_longer_new[order]], order[~no_longer_new[order]]])
        test = max(1, round(total * split.meta_test_fraction))
    else:
        order = np.lexsort((order_of_names(seed, scenario_names), starts))
        test = int((starts >= protocol.moment).sum())
    validation = validation_size(total - test, split.validation_fraction)
    learned = total - test - validation
    known = [str(scenario_names[one]) for one in order[learned:] if no_longer_new[one]]
    if known:
        raise ValueError(
            f"The held-out scenarios of {name} must be new to the run that is continued, which "
            f"learned from {', '.join(known[:3])}. Give a later `time`, or lower the fractions "
            "that are held out."
        )
    if protocol.moment is not None and (learned < 2 or test == 0):
        raise ValueError(
            f"`time` must leave scenarios that begin at it or later, and before it at least 2 to "
            f"learn from and {validation} for validation. Received: time={split.time!r}, which is "
            f"{iso_time(protocol.moment)}; of the {total} scenarios of {name}, which begin from "
            f"{iso_time(starts.min())} to {iso_time(starts.max())}, {test} begin then or later."
        )
    if learned < 2:
        raise ValueError(
            f"{name} has {total} scenarios; {test} for meta-test and {validation} for "
            "validation leave fewer than 2 to learn from. Lower min_items or min_interactions, "
            "choose another definition, or lower the fractions."
        )
    return {
        META_TEST: np.sort(order[total - test :]),
        VALIDATION: np.sort(order[learned : total - test]),
        META_TRAIN: np.sort(order[:learned]),
    }


def choose_evaluation_users(
    user_ids: np.ndarray, split: SplitConfig, seed: int, protocol: Protocol
) -> np.ndarray:
    """bool [U]: who is only ever asked. That is for `warm`; else each scenario has its own.

    Raises:
      ValueError: That is nobody, or everybody.
    """
    total = len(user_ids)
    is_evaluation = np.zeros(total, bool)
    if protocol != "warm":
        return is_evaluation
    chosen = round(total * split.evaluation_user_fraction)
    if not 0 < chosen < total:
        raise ValueError(
            f"`evaluation_user_fraction` must leave users on both sides. Received: "
            f"evaluation_user_fraction={split.evaluation_user_fraction} of {total} users."
        )
    is_evaluation[order_of_ids(seed, user_ids)[:chosen]] = True
    return is_evaluation


def check_left(name: str, role: str, kept: int, found: int, protocol: Protocol) -> None:
    """Refuses a role of which nothing, or of meta-training less than two scenarios, is left.

    Raises:
      ValueError: It is so.
    """
    if kept < min(found, 2 if role == META_TRAIN else 1):
        label = {META_TRAIN: "meta-training"}.get(role, role.replace("_", "-"))
        needed = {
            "time": "clicks to divide (a scenario needs two, or one to learn from)",
            "strict": "users to divide (a scenario needs users who support and users who are "
            "asked, and pairs that are in no held-out scenario)",
            "warm": "users to divide (a scenario needs users who support and users who are asked)",
        }[protocol]
        lower = "lower background_fraction, " if protocol == "warm" or role == META_TRAIN else ""
        raise ValueError(
            f"Of the {found} {label} scenarios of {name} {kept} are left: the others have too few "
            f"{needed}. For more, {lower}raise min_interactions, or give more data."
        )
