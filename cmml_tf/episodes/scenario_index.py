"""Scenarios as flat arrays, so that sampling is a few gathers (compressed sparse rows)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmml_tf.datasets.tasks.scenario_data import Scenario


@dataclass(frozen=True)
class ScenarioIndex:
    """Pairs, items and taken items of T scenarios.

    A "group" is one user of one scenario. The items of a scenario have local positions 0..I-1 in
    its sorted candidates; `gap_keys` holds, for the taken positions p_0 < p_1 < ... of each group,
    `group * stride + p_j - j`: the r-th item that the user has NOT taken is at position
    r + #{j: p_j - j <= r}, which one binary search finds.

    Attributes:
      pair_start: int64 [T + 1], where each scenario's pairs begin.
      pair_user: int32 [N], user row.
      pair_position: int32 [N], local position of the item.
      pair_group: int32 [N].
      item_start: int64 [T + 1], where each scenario's candidates begin.
      item_row: int32 [sum of I], item row of each candidate.
      group_start: int64 [G + 1], where each group's gap keys begin.
      gap_keys: int64 [K], ascending.
      stride: More than any scenario has items.
      pairs_without_negative: Pairs left out, since their user has taken every item of the scenario.
    """

    pair_start: np.ndarray
    pair_user: np.ndarray
    pair_position: np.ndarray
    pair_group: np.ndarray
    item_start: np.ndarray
    item_row: np.ndarray
    group_start: np.ndarray
    gap_keys: np.ndarray
    stride: int
    pairs_without_negative: int


def index_scenarios(
    scenarios: Sequence[Scenario], history_users: np.ndarray, history_items: np.ndarray
) -> ScenarioIndex:
    """Builds the arrays.

    Args:
      scenarios: Meta-training scenarios.
      history_users, history_items: int [H], known pairs; with a scenario's own pairs they are what
        a user has taken.

    Raises:
      ValueError: There is no scenario, or one has fewer than two items or two usable pairs.
    """
    if not scenarios:
        raise ValueError("Episodes need at least one meta-training scenario. Received: none.")
    history = _History(history_users, history_items)
    stride = max(len(scenario.candidates) for scenario in scenarios) + 1
    pairs, items, taken_counts, gaps = [], [], [], []
    groups, without_negative = 0, 0
    for scenario in scenarios:
        candidates = scenario.candidates
        if len(candidates) < 2:
            raise ValueError(
                f"Scenario {scenario.name!r} has fewer than two items, so no negative can be "
                "drawn. Raise `min_items` or leave the scenario out."
            )
        users, taken_user, taken_position = _taken(scenario, history)
        taken = np.bincount(taken_user, minlength=len(users))
        position = np.searchsorted(candidates, scenario.items)
        user_index = np.searchsorted(users, scenario.users)
        usable = taken[user_index] < len(candidates)
        without_negative += int(np.sum(~usable))
        if usable.sum() < 2:
            raise ValueError(
                f"Scenario {scenario.name!r} has fewer than two pairs whose user left an item of "
                "it untaken; a task needs one to support and one to ask. Leave the scenario out."
            )
        pairs.append((scenario.users[usable], position[usable], groups + user_index[usable]))
        items.append(candidates)
        taken_counts.append(taken)
        rank = np.arange(len(taken_user)) - np.repeat(np.cumsum(taken) - taken, taken)
        gaps.append((groups + taken_user).astype(np.int64) * stride + taken_position - rank)
        groups += len(users)
    user, position, group = (
        np.concatenate(column).astype(np.int32) for column in zip(*pairs, strict=True)
    )
    return ScenarioIndex(
        pair_start=_starts([len(part[0]) for part in pairs]),
        pair_user=user,
        pair_position=position,
        pair_group=group,
        item_start=_starts([len(part) for part in items]),
        item_row=np.concatenate(items).astype(np.int32),
        group_start=_starts(np.concatenate(taken_counts)),
        gap_keys=np.concatenate(gaps),
        stride=stride,
        pairs_without_negative=without_negative,
    )


class _History:
    """Known pairs, found by user or by item, whichever are fewer.

    A small scenario of popular items touches a large part of the history by its items; by its users
    it touches theirs alone, so that many scenarios cost no more than their users' histories.
    """

    def __init__(self, users: np.ndarray, items: np.ndarray) -> None:
        self._sides = []
        for key in (users, items):
            order = np.argsort(key, kind="stable")
            self._sides.append((key[order], users[order], items[order]))

    def of(self, users: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A superset of the pairs of these distinct users with these distinct items."""
        found = []
        for (key, *_), wanted in zip(self._sides, (users, items), strict=True):
            first = np.searchsorted(key, wanted, side="left")
            found.append((first, np.searchsorted(key, wanted, side="right") - first))
        side = int(found[1][1].sum() < found[0][1].sum())
        first, counts = found[side]
        rows = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        return self._sides[side][1][rows], self._sides[side][2][rows]


def _taken(scenario: Scenario, history: _History) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The scenario's users, and (index of user, local position) of what they took, sorted."""
    users, candidates = np.unique(scenario.users), scenario.candidates
    known_users, known_items = history.of(users, candidates)
    taken_users = np.concatenate([known_users, scenario.users])
    taken_items = np.concatenate([known_items, scenario.items])
    index = np.minimum(np.searchsorted(users, taken_users), len(users) - 1)
    position = np.minimum(np.searchsorted(candidates, taken_items), len(candidates) - 1)
    here = (users[index] == taken_users) & (candidates[position] == taken_items)
    width = len(candidates)
    unique = np.unique(index[here].astype(np.int64) * width + position[here])
    return users, unique // width, unique % width


def _starts(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
