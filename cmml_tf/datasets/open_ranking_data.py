"""From a name, folder or table to the tasks of the ranking setting."""

from pathlib import Path

import numpy as np
import pandas as pd

from cmml_tf.config import ReadConfig
from cmml_tf.config.ranking import RankingDataConfig
from cmml_tf.config.split import UserSplitConfig
from cmml_tf.datasets.check_source import FeatureSource, check_ranking_source
from cmml_tf.datasets.feature_table import FeatureTable, extended
from cmml_tf.datasets.interactions import Interactions
from cmml_tf.datasets.layouts import is_own_table
from cmml_tf.datasets.open_features import item_table
from cmml_tf.datasets.open_rating_data import read_ratings
from cmml_tf.datasets.reading.ids import as_text, is_text, rows_of, sorted_ids
from cmml_tf.datasets.reading.times import Times
from cmml_tf.datasets.sources.own_interactions import load_table
from cmml_tf.datasets.tasks.earlier import Earlier, earlier_first
from cmml_tf.datasets.tasks.users.new_users import named_users, random_users, users_by_time
from cmml_tf.datasets.tasks.users.ranking_task_file import read_ranking_task_file
from cmml_tf.datasets.tasks.users.taken_items import (
    LEAST_TAKEN,
    RankingData,
    RankingTasks,
    TakenItems,
    draw_tasks,
)
from cmml_tf.types import AreNew, ContentColumn


def open_ranking_data(
    data: str,
    config: RankingDataConfig,
    liked: float | None,
    seed: int,
    read: ReadConfig | None = None,
    are_new: AreNew | None = None,
    whole: bool = False,
    earlier: Earlier | None = None,
    split: UserSplitConfig | None = None,
    features: FeatureSource | None = None,
) -> RankingData:
    """Opens a data set and makes every user a task.

    No row of a user who is asked is learned from: neither items nor the catalogue. What only such
    users have taken is neither recommended nor asked for, unless a table has its features.

    Args:
      data: A table with columns user and item, or what `open_rating_data` takes.
      config: Who is asked.
      liked: Rows with a lower value are left out; None: none is.
      seed: Fixes who is asked, and what is known of whom.
      read: How files are read.
      are_new: Which users, by id, may be asked; None: all. Where it leaves fewer than two, all.
      whole: Users who are asked are learned from as well, as a refit does: to ask them says
        nothing any more.
      earlier: A state of the same data that a run knew which is continued: its ids keep their rows,
        whom it learned from is not asked.
      split: What is known when users are asked; None: users at random, of whom nothing is.
      features: A table of items, whose items are the catalogue's too, taken or not; None: there is
        none.

    Raises:
      ValueError: Nothing accepted has this name, a file is damaged, there are too few users, or the
        data has no times and is to be split by them.
      FileNotFoundError: A file is missing.
      ConnectionError: A download is needed and the network does not answer.
    """
    read = ReadConfig() if read is None else read
    split = UserSplitConfig() if split is None else split
    features = FeatureSource() if features is None else features
    check_ranking_source(data, config.tasks, read, features)
    interactions = _read(data, read, "needed" if split.by_time else "none")
    table, counts = _taken_rows(interactions, liked, split.by_time)
    user_ids = sorted_ids(table["user"].unique().tolist())
    if earlier is not None:
        user_ids = earlier_first(earlier.user_ids, user_ids)
    rng = np.random.default_rng(seed)
    user = pd.Index(user_ids).get_indexer(table["user"])
    before = None if earlier is None or whole else rows_of(earlier.tasks, user_ids)
    given = None if config.tasks is None else read_ranking_task_file(Path(config.tasks))
    parts = None
    if split.by_time:
        times = table["timestamp"].to_numpy(np.float64)
        parts = users_by_time(interactions.name, user, times, config, split, rng, before)
    elif given is not None:
        parts = named_users(given, user_ids, user, str(config.tasks), before)
    else:
        parts = random_users(user_ids, user, config, rng, are_new, before)
    is_learned = np.ones(len(user), bool) if whole else parts.is_learned
    if not is_learned.any():
        raise ValueError("There must be users to learn from. Received: all users are asked.")
    items, item_columns, item = _catalogue(
        interactions.name, table["item"], is_learned, earlier, item_table(features, read), counts
    )
    learned = _taken(user[is_learned], item[is_learned])
    if given is None:
        known = parts.is_asked & (item >= 0)
        tasks = draw_tasks(_taken(user[known], item[known]), rng, split.by_time)
    else:
        tasks = _given_tasks(given, user_ids, items, Path(str(config.tasks)))
    if not len(tasks):
        asked = len(np.unique(user[parts.is_asked]))
        raise ValueError(
            f"A user who is asked must have taken {LEAST_TAKEN} items that others have taken. "
            f"Received: none of {asked} users has."
        )
    counts |= {
        **parts.counts,
        "users": len(user_ids),
        "items": len(items),
        "users who are learned from": len(learned),
        "items that they have taken": len(learned.item),
        "users who are asked": len(np.unique(tasks.support.user)),
        "tasks": len(tasks),
    }
    return RankingData(
        interactions.name,
        user_ids,
        items,
        learned,
        tasks,
        {what: count for what, count in counts.items() if count},
        item_columns,
        "time" if split.by_time else "strict",
        parts.moment,
    )


def _read(data: str, read: ReadConfig, times: Times) -> Interactions:
    path = Path(data).expanduser()
    if is_own_table(path):
        return load_table(path, read=read, times=times)
    return read_ratings(data, read)[0]


def _taken_rows(
    interactions: Interactions, liked: float | None, by_time: bool
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Who has taken what, each once, in the order of time if that is asked for; and counts."""
    table = interactions.table
    counts = {**interactions.counts, "rows read": len(table)}
    if liked is not None:
        table = table[table["value"] >= liked]
        counts[f"rows with a value below {liked:g}, left out"] = counts["rows read"] - len(table)
        if not len(table):
            raise ValueError(
                f"`liked` must be a value that a row has. Received: liked={liked:g}; the highest "
                f"of {interactions.name} is {interactions.table['value'].max():g}."
            )
    rows = len(table)
    if by_time:
        table = table.sort_values("timestamp", kind="stable")
    table = table.drop_duplicates(["user", "item"])
    counts["repeated rows of a user and item"] = rows - len(table)
    return table, counts


def _catalogue(
    name: str,
    taken: pd.Series,
    is_learned: np.ndarray,
    earlier: Earlier | None,
    table: FeatureTable | None,
    counts: dict[str, int],
) -> tuple[np.ndarray, tuple[ContentColumn, ...], np.ndarray]:
    """Ids and features of the items, and the row of each that was taken, -1 if it has none."""
    ids = _most_taken_first(taken[is_learned])
    if earlier is not None:
        ids = earlier_first(earlier.item_ids, ids)
    columns: tuple[ContentColumn, ...] = ()
    if table is not None:
        found = extended(ids, "item", table, name)
        ids, columns = found.ids, found.columns
        counts |= found.counts
    values = taken.to_numpy()
    item = rows_of(as_text(values) if is_text(ids) and not is_text(values) else values, ids)
    left_out = int(taken[item < 0].nunique())
    counts["items that only users who are asked have taken, left out"] = left_out
    return ids, columns, item


def _given_tasks(
    given: pd.DataFrame, user_ids: np.ndarray, item_ids: np.ndarray, path: Path
) -> RankingTasks:
    """The tasks of a file, smallest supports first and -1 last."""
    item = rows_of(given["item"].to_numpy(object), as_text(item_ids))
    if (item < 0).any():
        stranger = given["item"].iloc[int(np.argmax(item < 0))]
        raise ValueError(
            f"The item {stranger} of {path} must have been taken by a user who is learned from."
        )
    user = rows_of(given["user"].to_numpy(object), as_text(user_ids))
    size = given["known"].to_numpy()
    order = np.where(size < 0, np.iinfo(np.int64).max, size)
    tasks = pd.DataFrame({"order": order, "user": user}).drop_duplicates()
    tasks = tasks.sort_values(["order", "user"], ignore_index=True)
    place = pd.MultiIndex.from_frame(tasks).get_indexer(pd.MultiIndex.from_arrays([order, user]))
    users = tasks["user"].to_numpy()
    known = np.where(tasks["order"] == np.iinfo(np.int64).max, -1, tasks["order"])
    support = (given["role"] == "support").to_numpy()
    return RankingTasks(
        known.astype(np.int32),
        _of_tasks(users, place[support], item[support]),
        _of_tasks(users, place[~support], item[~support]),
    )


def _of_tasks(users: np.ndarray, place: np.ndarray, item: np.ndarray) -> TakenItems:
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(users) + 1)).astype(np.int64)
    return TakenItems(users.astype(np.int32), starts, item[order].astype(np.int32))


def _taken(user: np.ndarray, item: np.ndarray) -> TakenItems:
    users, place = np.unique(user, return_inverse=True)
    return _of_tasks(users, place, item)


def _most_taken_first(items: pd.Series) -> np.ndarray:
    ids = sorted_ids(items.unique().tolist())
    counts = items.value_counts().reindex(ids).to_numpy()
    return ids[np.argsort(-counts, kind="stable")]
