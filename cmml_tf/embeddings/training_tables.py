"""The tables that matching is trained with: each training scenario has rows of its own."""

from dataclasses import dataclass, replace

import numpy as np

from cmml_tf.datasets.tasks.scenario_data import Scenario, ScenarioData
from cmml_tf.embeddings.click_choices import Clicks
from cmml_tf.embeddings.leave_scenario_out import ScenarioFactors, TableRows
from cmml_tf.embeddings.popularity import STATISTICS
from cmml_tf.embeddings.unseen_rows import UnseenRows

_OF_GIVEN = 4.0
"""Shipped factors have a root mean square of .25 a number (`EmbeddingConfig`); matching starts
from 1."""


@dataclass(frozen=True)
class TrainingTables:
    """Tables of U' users and I' items, and the scenarios with rows in them.

    Attributes:
      data: The data set; rows of its meta-training scenarios and of its history are rows of these
        tables, a user or item of several scenarios having one in each.
      user_rows, item_rows: float32 [2 U', ...], [2 I', ...]. The leading rows are those of all
        users and items, then come those of the scenarios; row k + U' is row k as its content alone
        tells it (`cmml_tf.episodes.hiding`).
    """

    data: ScenarioData
    user_rows: np.ndarray
    item_rows: np.ndarray

    @property
    def users(self) -> int:
        """U'."""
        return len(self.user_rows) // 2

    @property
    def items(self) -> int:
        """I'."""
        return len(self.item_rows) // 2


def clicks_of(
    data: ScenarioData,
    user_content: np.ndarray | None = None,
    item_content: np.ndarray | None = None,
) -> Clicks:
    """What may be known: background pairs, and those of the meta-training scenarios.

    Pairs that a scenario has beside those that are trained on are its own, not background: without
    the scenario they are not known either. Under the protocol `warm` they are background, as those
    of a scenario that is asked are. Under `strict` what is not known of a scenario is not known by
    other scenarios either.

    Args:
      data: The data set.
      user_content, item_content: float [U, c_u], [I, c_i] or None.
    """
    own = [_own_pairs(data, scenario) for scenario in data.meta_train]
    inside = [_keys(data, *pairs) for pairs in own]
    background = _keys(data, data.background_users, data.background_items)
    outside = ~np.isin(background, np.concatenate([background[:0], *inside]))
    parts = [(data.background_users[outside], data.background_items[outside]), *own]
    numbers = np.arange(-1, len(data.meta_train))
    return Clicks(
        users=np.concatenate([users for users, _ in parts]),
        items=np.concatenate([items for _, items in parts]),
        scenario=np.repeat(numbers, [len(users) for users, _ in parts]),
        user_count=len(data.user_ids),
        item_count=len(data.item_ids),
        scenario_count=len(data.meta_train),
        user_content=user_content,
        item_content=item_content,
        copies_known=data.protocol != "strict",
    )


def training_tables(data: ScenarioData, factors: ScenarioFactors | UnseenRows) -> TrainingTables:
    """Gives every meta-training scenario rows that its own pairs never reached.

    Args:
      data: The data set; `factors` were fitted on its `clicks_of`.
      factors: Whose rows.
    """
    scenarios, histories = [], []
    by_user = np.argsort(data.history_users, kind="stable")
    history = data.history_users[by_user], data.history_items[by_user]
    owns = [np.unique(np.concatenate([s.users, s.aside_users])) for s in data.meta_train]
    candidates = [scenario.candidates for scenario in data.meta_train]
    first_users = np.cumsum([len(data.user_ids), *map(len, owns)])
    first_items = np.cumsum([len(data.item_ids), *map(len, candidates)])
    tables = _Filled(factors.rows(), int(first_users[-1]), int(first_items[-1]))
    for number in factors.order:
        rows = factors.without(int(number), owns[number], candidates[number])
        tables.fill(rows, first_users[number], first_items[number])
    for scenario, own, users, items in zip(
        data.meta_train, owns, first_users[:-1], first_items[:-1], strict=True
    ):
        scenarios.append(
            replace(
                scenario,
                users=_moved(scenario.users, own, users),
                items=_moved(scenario.items, scenario.candidates, items),
                candidates=_moved(scenario.candidates, scenario.candidates, items),
                aside_users=_moved(scenario.aside_users, own, users),
                aside_items=_moved(scenario.aside_items, scenario.candidates, items),
            )
        )
        histories.append(_history(scenario, own, history, users, items))
    moved = replace(
        data,
        meta_train=tuple(scenarios),
        history_users=np.concatenate([part[0] for part in histories]),
        history_items=np.concatenate([part[1] for part in histories]),
    )
    return TrainingTables(moved, tables.user, tables.item)


class _Filled:
    """Tables that are filled part by part, since the parts and the whole would be twice as large.

    Args:
      first: The leading rows.
      users, items: U' and I'.

    Attributes:
      user, item: As `TrainingTables.user_rows` and `item_rows`.
    """

    def __init__(self, first: TableRows, users: int, items: int) -> None:
        self.user = np.empty([2 * users, first.user.shape[1]], np.float32)
        self.item = np.empty([2 * items, first.item.shape[1]], np.float32)
        self.fill(first, 0, 0)

    def fill(self, rows: TableRows, user: int, item: int) -> None:
        """Puts rows and what content alone tells of them behind these."""
        for table, first, known, hidden in (
            (self.user, user, rows.user, rows.hidden_user),
            (self.item, item, rows.item, rows.hidden_item),
        ):
            half, last = len(table) // 2, first + len(known)
            table[first:last], table[half + first : half + last] = known, hidden


def _own_pairs(data: ScenarioData, scenario: Scenario) -> tuple[np.ndarray, np.ndarray]:
    """Users and items of the pairs that are not known without the scenario."""
    if data.protocol == "warm":
        return scenario.users, scenario.items
    return (
        np.concatenate([scenario.users, scenario.aside_users]),
        np.concatenate([scenario.items, scenario.aside_items]),
    )


def _keys(data: ScenarioData, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """int64 [N], a number for each pair."""
    return users.astype(np.int64) * len(data.item_ids) + items


def given_tables(data: ScenarioData) -> tuple[TrainingTables, TableRows]:
    """Tables of the embeddings that a data set ships, and their rows.

    Nobody knows what they were fitted on, so no scenario has rows of its own, nothing is known of
    how popular an item is, and a hidden row is zero.

    Args:
      data: With embeddings of users and items, of one width.

    Raises:
      ValueError: They differ in width.
    """
    user, item = data.user_embeddings, data.item_embeddings
    if user is None or item is None or user.shape[1] != item.shape[1]:
        widths = [None if part is None else part.shape[1] for part in (user, item)]
        raise ValueError(
            "Matching needs embeddings of users and items of one width, or none. "
            f"Received: widths {widths[0]} and {widths[1]}."
        )
    statistics = np.zeros([len(item), STATISTICS])
    users = np.concatenate([_OF_GIVEN * user, np.ones([len(user), 1])], axis=1)
    items = np.concatenate([_OF_GIVEN * item, np.ones([len(item), 1]), statistics], axis=1)
    users, items = users.astype(np.float32), items.astype(np.float32)
    rows = TableRows(users, items, 0 * users, 0 * items)
    tables = TrainingTables(
        data,
        np.concatenate([rows.user, rows.hidden_user]),
        np.concatenate([rows.item, rows.hidden_item]),
    )
    return tables, rows


def _moved(rows: np.ndarray, distinct: np.ndarray, first: int) -> np.ndarray:
    return (np.searchsorted(distinct, rows) + first).astype(np.int32)


def _history(
    scenario: Scenario,
    own: np.ndarray,
    history: tuple[np.ndarray, np.ndarray],
    first_user: int,
    first_item: int,
) -> tuple[np.ndarray, np.ndarray]:
    """What the scenario's users are known to have taken of its items, in its own rows."""
    start, stop = (np.searchsorted(history[0], own, side) for side in ("left", "right"))
    counts = stop - start
    place = np.repeat(start - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    users, items = history[0][place], history[1][place]
    inside = np.isin(items, scenario.candidates)
    return (
        _moved(users[inside], own, first_user),
        _moved(items[inside], scenario.candidates, first_item),
    )
