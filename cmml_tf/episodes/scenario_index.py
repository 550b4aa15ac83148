"""Scenarios as flat arrays, so that sampling is a few gathers (compressed sparse rows)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.datasets.tasks.scenario_data import Scenario
from cmml_tf.episodes.shared_memory import shareable
from cmml_tf.types import starts_of

_TOGETHER = 8
"""Known pairs of a row that are copied at once: one copy of 16 bytes, of up to 65,535 rows."""
_COUNTED = 1 << 18
"""Pairs that are counted, or put in order, at once, or as many as there are rows, if these are
more: each is made 8 bytes and more for it."""


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
    # Arrays are written in place: to take new memory from the system costs more than to fill it.
    pairs = sum(len(scenario.users) for scenario in scenarios)
    columns = [shareable(pairs, np.int32) for _ in range(3)]
    group_start = shareable(pairs + 1, np.int64)
    gap_keys = shareable(2 * pairs, np.int64)  # of a number that is not known before
    pair_counts: list[int] = []
    filled, groups, found, without_negative = 0, 0, 0, 0
    for scenario in scenarios:
        size = len(scenario.candidates)
        if size < 2:
            raise ValueError(
                f"Scenario {scenario.name!r} has fewer than two items, so no negative can be "
                "drawn. Raise `min_items` or leave the scenario out."
            )
        user, position, known = history.taken(scenario)
        taken_user = known // size
        taken = np.bincount(taken_user)
        usable = taken.take(user) < size
        left = int(np.count_nonzero(usable))
        if left < 2:
            raise ValueError(
                f"Scenario {scenario.name!r} has fewer than two pairs whose user left an item of "
                "it untaken; a task needs one to support and one to ask. Leave the scenario out."
            )
        without_negative += len(usable) - left
        for column, part in zip(columns, (scenario.users, position, user + groups), strict=True):
            column[filled : filled + left] = part if left == len(usable) else part[usable]
        pair_counts.append(left)
        filled += left
        ends = np.cumsum(taken)
        group_start[groups + 1 : groups + len(taken) + 1] = group_start[groups] + ends
        # Of user * size + position comes (groups + user) * stride + position - rank.
        gap = known + taken_user * (stride - size)
        gap += groups * stride - np.arange(len(known))
        gap += (ends - taken).take(taken_user)
        if found + len(gap) > len(gap_keys):
            longer = shareable(2 * (found + len(gap)), np.int64)
            longer[:found] = gap_keys[:found]
            gap_keys = longer
        gap_keys[found : found + len(gap)] = gap
        found += len(gap)
        groups += len(taken)
    items = [scenario.candidates for scenario in scenarios]
    item_row = shareable(sum(map(len, items)), np.int32)
    return ScenarioIndex(
        pair_start=starts_of(pair_counts),
        pair_user=columns[0][:filled],
        pair_position=columns[1][:filled],
        pair_group=columns[2][:filled],
        item_start=starts_of([len(part) for part in items]),
        item_row=np.concatenate(items, out=item_row, casting="same_kind"),
        group_start=group_start[: groups + 1],
        gap_keys=gap_keys[:found],
        stride=stride,
        pairs_without_negative=without_negative,
    )


def _distinct(values: np.ndarray) -> np.ndarray:
    """The distinct values, sorted: `np.unique` hashes them first, which costs more."""
    ordered = np.sort(values)
    is_first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return ordered[is_first]


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
        self._users = _Side(users, items, user_rows, item_rows)
        self._items = _Side(items, users, item_rows, user_rows)

    def taken(self, scenario: Scenario) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the users of a scenario have taken of its items.

        Returns:
          For each pair int64 [N], its user's place among the scenario's distinct ones, in order;
          int64 [N], its item's place among the candidates; and of all pairs that these users and
          items have, here or in the history, int64 [K], ascending: the user's place times the
          number of items, plus the item's place.
        """
        users, items = self._users, self._items
        items.choose(scenario.candidates)
        users.choose(_distinct(scenario.users))
        if items.pairs < users.pairs:
            their_item, their_user = items.pairs_with(users)
        else:
            their_user, their_item = users.pairs_with(items)
        user, item = users.place.take(scenario.users), items.place.take(scenario.items)
        taken = np.concatenate([user, their_user]) * len(scenario.candidates)
        taken += np.concatenate([item, their_item])
        return user, item, _distinct(taken)


class _Side:
    """Users, or items, and the known pairs of each; some of them are chosen at a time.

    Nothing is searched for: what concerns a row stands at its number. What takes longest is to
    fetch the known pairs of the chosen rows, which are many more than those found: they are
    narrow, and copied eight at a time, so that each row's are filled up to a multiple of that.

    Args:
      key, other: int [H], rows of this side and of the other.
      keys, others: How many rows there are.

    Attributes:
      place: int64 [keys + 1], of each chosen row its place among them.
      pairs: How many known pairs the chosen rows have, with what fills them up.
    """

    def __init__(self, key: np.ndarray, other: np.ndarray, keys: int, others: int) -> None:
        self._key, self._other, self._others = key, other, others
        known, each = np.zeros(keys, np.int64), max(_COUNTED, keys)
        self._parts = [slice(first, first + each) for first in range(0, len(key), each)]
        for part in self._parts:
            known += np.bincount(key[part], minlength=keys)
        self._lengths = -(-known // _TOGETHER)
        self._start = starts_of(self._lengths)
        self._is_chosen = np.zeros(keys + 1, bool)
        self.place = np.zeros(keys + 1, np.int64)
        self.pairs = 0

    @cached_property
    def _known(self) -> np.ndarray:
        """[_, _TOGETHER]: rows of the other side, by row of this one, each filled up by `others`.

        Made when it is first asked for: where one side always has fewer pairs, the other's is not.
        """
        narrow = np.min_scalar_type(self._others)
        table = shareable(int(self._start[-1]) * _TOGETHER, narrow.type)
        table[:] = self._others
        free = self._start[:-1] * _TOGETHER  # where the next one of each row comes
        for part in self._parts:
            numbers = self._other[part].astype(narrow)
            # Of a sparse matrix: numbers of rows are counted, where `argsort` would compare them.
            places = np.arange(len(numbers), dtype=np.int32)
            shape = (len(free), len(numbers))
            ordered = csr_matrix((numbers, (self._key[part], places)), shape)
            counts = np.diff(ordered.indptr)
            at = (free - ordered.indptr[:-1]).repeat(counts)
            at += np.arange(len(at))
            table[at] = ordered.data
            free += counts
        return table.reshape(-1, _TOGETHER)

    def choose(self, rows: np.ndarray) -> None:
        """Chooses distinct rows in place of those before."""
        self._rows = rows
        self.place[rows] = np.arange(len(rows))
        self._first = self._start.take(rows)
        self._counts = self._lengths.take(rows)
        self.pairs = int(self._counts.sum()) * _TOGETHER

    def pairs_with(self, others: "_Side") -> tuple[np.ndarray, np.ndarray]:
        """The known pairs of chosen rows of both sides: the places of both, int64 [N] each."""
        at = (self._first - (self._counts.cumsum() - self._counts)).repeat(self._counts)
        at += np.arange(len(at))
        theirs = self._known.take(at, axis=0).ravel()
        others._is_chosen[others._rows] = True
        found = others._is_chosen.take(theirs).nonzero()[0]
        others._is_chosen[others._rows] = False
        own = np.arange(len(self._counts)).repeat(self._counts)
        return own.take(found // _TOGETHER), others.place.take(theirs.take(found))
