"""From a name, folder or table to the tasks of the ranking setting."""

from pathlib import Path

import numpy as np
import pandas as pd

from cmml_tf.config import ReadConfig
from cmml_tf.config.ranking import RankingDataConfig
from cmml_tf.datasets.interactions import Interactions
from cmml_tf.datasets.open_data import is_own_table
from cmml_tf.datasets.open_rating_data import check_rating_source, read_ratings
from cmml_tf.datasets.reading.ids import as_text, rows_of
from cmml_tf.datasets.sources.own_interactions import load_table
from cmml_tf.datasets.tasks.earlier import Earlier, earlier_first
from cmml_tf.datasets.tasks.ranking_task_file import read_ranking_task_file
from cmml_tf.datasets.tasks.rating_task_file import require_task_file
from cmml_tf.datasets.tasks.taken_items import (
    LEAST_TAKEN,
    RankingData,
    RankingTasks,
    TakenItems,
    draw_tasks,
)
from cmml_tf.types import AreNew

_MOST_ASKED = 2000


def open_ranking_data(
    data: str,
    config: RankingDataConfig,
    liked: float | None,
    seed: int,
    cache_dir: str | Path | None = None,
    read: ReadConfig | None = None,
    are_new: AreNew | None = None,
    whole: bool = False,
    earlier: Earlier | None = None,
) -> RankingData:
    """Opens a data set and makes every user a task.

    No row of a user who is asked is learned from: neither items nor the catalogue. What only such
    users have taken is neither recommended nor asked for.

    Args:
      data: A table with columns user and item, or what `open_rating_data` takes.
      config: Who is asked.
      liked: Rows with a lower value are left out; None: none is.
      seed: Fixes who is asked, and what is known of whom.
      cache_dir: Where downloads are kept; none: the user's cache folder.
      read: How files are read.
      are_new: Which users, by id, may be asked; None: all. Where it leaves fewer than two, all.
      whole: Users who are asked are learned from as well, as a refit does: to ask them says
        nothing any more.
      earlier: A state of the same data that a run knew which is continued: its ids keep their rows,
        whom it learned from is not asked.

    Raises:
      ValueError: Nothing accepted has this name, a file is damaged, or there are too few users.
      FileNotFoundError: A file is missing.
      ConnectionError: A download is needed and the network does not answer.
    """
    read = ReadConfig() if read is None else read
    check_ranking_source(data, config.tasks, read)
    interactions = _read(data, cache_dir, read)
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
    table = table[["user", "item"]].drop_duplicates()
    counts["repeated rows of a user and item"] = rows - len(table)
    user_ids = _sorted(table["user"])
    if earlier is not None:
        user_ids = earlier_first(earlier.user_ids, user_ids)
    rng = np.random.default_rng(seed)
    given = None if config.tasks is None else read_ranking_task_file(Path(config.tasks))
    user = pd.Index(user_ids).get_indexer(table["user"])
    before = None if earlier is None or whole else rows_of(earlier.tasks, user_ids)
    asked = _asked_users(given, user_ids, user, config, rng, are_new, before)
    inside = np.isin(user, asked)
    if inside.all():
        raise ValueError("There must be users to learn from. Received: all users are asked.")
    is_learned = np.ones(len(user), bool) if whole else ~inside
    item_ids = _most_taken_first(table["item"][is_learned])
    if earlier is not None:
        item_ids = earlier_first(earlier.item_ids, item_ids)
    item = pd.Index(item_ids).get_indexer(table["item"])
    learned = _taken(user[is_learned], item[is_learned])
    if given is None:
        known = inside & (item >= 0)
        tasks = draw_tasks(_taken(user[known], item[known]), rng)
    else:
        tasks = _given_tasks(given, user_ids, item_ids, Path(str(config.tasks)))
    if not len(tasks):
        raise ValueError(
            f"A user who is asked must have taken {LEAST_TAKEN} items that others have taken. "
            f"Received: none of {len(asked)} users has."
        )
    counts |= {
        "items that only users who are asked have taken, left out": table["item"].nunique()
        - len(item_ids),
        "users": len(user_ids),
        "items": len(item_ids),
        "users who are learned from": len(learned),
        "items that they have taken": len(learned.item),
        "users who are asked": len(np.unique(tasks.support.user)),
        "tasks": len(tasks),
    }
    return RankingData(
        interactions.name,
        user_ids,
        item_ids,
        learned,
        tasks,
        {what: count for what, count in counts.items() if count},
    )


def check_ranking_source(data: str, tasks: str | None, read: ReadConfig) -> None:
    """Refuses names and paths that nothing stands behind; no file of the data is read.

    Args:
      data, read: As of `open_ranking_data`.
      tasks: A file of given tasks; None: none is.

    Raises:
      ValueError: Nothing accepted has this name.
      FileNotFoundError: The file of tasks is missing.
    """
    if not is_own_table(Path(data).expanduser()):
        check_rating_source(data, read)
    if tasks is not None:
        require_task_file(Path(tasks))


def _read(data: str, cache_dir: str | Path | None, read: ReadConfig) -> Interactions:
    path = Path(data).expanduser()
    if is_own_table(path):
        return load_table(path, read=read, times="none")
    return read_ratings(data, cache_dir, read)[0]


def _asked_users(
    given: pd.DataFrame | None,
    user_ids: np.ndarray,
    user: np.ndarray,
    config: RankingDataConfig,
    rng: np.random.Generator,
    are_new: AreNew | None,
    before: np.ndarray | None,
) -> np.ndarray:
    """int [A], rows of the users who are asked; those `before` have been learned from."""
    if given is not None:
        named = given["user"].unique().astype(object)
        found = rows_of(named, as_text(user_ids))
        if (found < 0).any():
            raise ValueError(
                f"The user {named[found < 0][0]} of {config.tasks} is not in the data set."
            )
        known = found[:0] if before is None else np.intersect1d(found, before)
        if len(known):
            raise ValueError(
                f"The users of {config.tasks} must be new to the run that is continued, which "
                f"learned from the user {user_ids[known[0]]}."
            )
        return found
    enough = np.flatnonzero(np.bincount(user, minlength=len(user_ids)) >= LEAST_TAKEN)
    if are_new is not None:
        new = enough[are_new(as_text(user_ids[enough]))]
        enough = new if len(new) > 1 else enough
    number = min(max(1, round(config.meta_test_fraction * len(enough))), _MOST_ASKED)
    if len(enough) < 2:
        raise ValueError(
            f"There must be two users who have taken {LEAST_TAKEN} items. "
            f"Received: {len(enough)} of {len(user_ids)} users."
        )
    if before is not None:
        enough = np.setdiff1d(enough, before)
        if not len(enough):
            raise ValueError(
                f"There must be a user with {LEAST_TAKEN} items whom the run that is continued has "
                "not learned from. Received: none."
            )
    return np.sort(rng.permutation(enough)[:number])


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


def _sorted(ids: pd.Series) -> np.ndarray:
    values = sorted(ids.unique().tolist())
    return np.array(values, object if values and isinstance(values[0], str) else None)


def _most_taken_first(items: pd.Series) -> np.ndarray:
    ids = _sorted(items)
    counts = items.value_counts().reindex(ids).to_numpy()
    return ids[np.argsort(-counts, kind="stable")]
