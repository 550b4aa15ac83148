"""Scenarios as flat arrays, so that sampling is a few gathers (compressed sparse rows)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.datasets.tasks.scenario_data import Scenario
from cmml_tf.types import starts_of


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
    history = _History(history_users, history_items, scenarios)
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
        users, user_index = np.unique(scenario.users, return_inverse=True)
        position = np.searchsorted(candidates, scenario.items)
        own = user_index * len(candidates) + position
        known = np.unique(np.concatenate([history.among(users, candidates), own]))
        taken_user, taken_position = np.divmod(known, len(candidates))
        taken = np.bincount(taken_user, minlength=len(users))
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
        pair_start=starts_of([len(part[0]) for part in pairs]),
        pair_user=user,
        pair_position=position,
        pair_group=group,
        item_start=starts_of([len(part) for part in items]),
        item_row=np.concatenate(items).astype(np.int32),
        group_start=starts_of(np.concatenate(taken_counts)),
        gap_keys=np.concatenate(gaps),
        stride=stride,
        pairs_without_negative=without_negative,
    )


class _History:
    """Known pairs, found by user or by item, whichever are fewer.

    A small scenario of popular items touches a large part of the history by its items; by its users
    it touches theirs alone, so that many scenarios cost no more than their users' histories.
    """

    def __init__(self, users: np.ndarray, items: np.ndarray, scenarios: Sequence[Scenario]) -> None:
        def rows(history: np.ndarray, own: Iterable[np.ndarray]) -> int:
            return 1 + max(int(part.max(initial=-1)) for part in (history, *own))

        user_rows = rows(users, (scenario.users for scenario in scenarios))
        item_rows = rows(items, (scenario.candidates for scenario in scenarios))
        self._by_user = _Side(users, items, user_rows, item_rows)
        self._by_item = _Side(items, users, item_rows, user_rows)

    def among(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The pairs of these users with these items, both sorted and distinct.

        Returns:
          int64 [N], for each the user's place times the number of items, plus the item's place.
        """
        if self._by_item.pairs(items) < self._by_user.pairs(users):
            item, user = self._by_item.among(items, users)
        else:
            user, item = self._by_user.among(users, items)
        return np.searchsorted(users, user) * len(items) + np.searchsorted(items, item)


class _Side:
    """Pairs in the order of one of their sides, where no row is searched for.

    Args:
      key, other: int [H], rows of this side and of the other.
      keys, others: How many rows there are.
    """

    def __init__(self, key: np.ndarray, other: np.ndarray, keys: int, others: int) -> None:
        # Of a sparse matrix: numbers of rows are counted, where `argsort` would compare them.
        self._place = np.arange(len(key), dtype=np.int32 if len(key) < 2**31 else np.int64)
        ordered = csr_matrix((other.astype(np.int32), (key, self._place)), (keys, len(key)))
        self._other, self._start = ordered.data, ordered.indptr
        self._wanted = np.zeros(others, bool)

    def pairs(self, rows: np.ndarray) -> int:
        """How many pairs these rows have."""
        return int(np.sum(self._start[rows + 1] - self._start[rows]))

    def among(self, rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pairs of both: rows of this side and of the other, int32 [N] each."""
        first = self._start[rows]
        counts = self._start[rows + 1] - first
        ends = np.cumsum(counts, dtype=first.dtype)
        place = np.repeat(first - (ends - counts), counts)
        place += self._place[: len(place)]
        theirs = self._other[place]
        self._wanted[others] = True
        found = np.flatnonzero(self._wanted[theirs])
        self._wanted[others] = False
        return rows[np.searchsorted(ends, found, side="right")], theirs[found]
