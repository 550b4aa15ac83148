"""Users as tasks: their ratings, of which the last ones are the query (paper section 4.2)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.datasets.reading.ids import as_text, rows_of
from cmml_tf.types import AreNew, FeatureColumn, starts_of


@dataclass(frozen=True)
class RatingTasks:
    """T users with their ratings in a fixed random order; the last `query` of each are asked.

    Attributes:
      user: int32 [T], rows of the user catalogue.
      starts: int64 [T + 1], ratings of task t are those from starts[t] to starts[t + 1].
      item: int32 [R], rows of the item catalogue.
      rating: float32 [R].
    """

    user: np.ndarray
    starts: np.ndarray
    item: np.ndarray
    rating: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    @property
    def lengths(self) -> np.ndarray:
        """int64 [T], ratings of each task."""
        return np.diff(self.starts)

    def take(self, places: Sequence[int] | np.ndarray) -> "RatingTasks":
        """The tasks at these places, in this order."""
        spans = [np.arange(self.starts[p], self.starts[p + 1]) for p in places]
        rows = np.concatenate(spans) if len(spans) else np.zeros(0, np.int64)
        starts = starts_of([len(span) for span in spans])
        return RatingTasks(self.user[places], starts, self.item[rows], self.rating[rows])


@dataclass(frozen=True)
class RatingData:
    """All that training, evaluation and export of the user setting need.

    Attributes:
      name: Of the source.
      user_ids, item_ids: Raw ids of the catalogues' rows.
      user_columns, item_columns: What is known of them; of users it may be nothing.
      query: Query ratings of a task.
      meta_train, meta_test: Different users.
      validation: Users held out of `meta_train`; may have none.
      log: Every rating of all users who are neither in `validation` nor in `meta_test`, those
        beyond the size of a task and of users with too few for one as well.
      counts: What the data holds, for people.
    """

    name: str
    user_ids: np.ndarray
    item_ids: np.ndarray
    user_columns: tuple[FeatureColumn, ...]
    item_columns: tuple[FeatureColumn, ...]
    query: int
    meta_train: RatingTasks
    validation: RatingTasks
    meta_test: RatingTasks
    log: RatingTasks
    counts: dict[str, int]

    def fingerprint(self) -> str:
        """sha256 (hex) over ids, features and every rating of every part."""
        digest = hashlib.sha256("\n".join(map(str, (*self.user_ids, -1, *self.item_ids))).encode())
        for column in (*self.user_columns, *self.item_columns):
            digest.update(repr(column.feature).encode())
            digest.update(np.ascontiguousarray(column.values).tobytes())
            if column.starts is not None:
                digest.update(np.ascontiguousarray(column.starts).tobytes())
        for tasks in (self.meta_train, self.validation, self.meta_test, self.log):
            for array in (tasks.user, tasks.starts, tasks.item, tasks.rating):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def joined_tasks(parts: Sequence[RatingTasks]) -> RatingTasks:
    """The tasks of several parts, one after the other."""
    lengths = np.concatenate([part.lengths for part in parts])
    return RatingTasks(
        np.concatenate([part.user for part in parts]),
        starts_of(lengths),
        np.concatenate([part.item for part in parts]),
        np.concatenate([part.rating for part in parts]),
    )


def all_ratings(
    user: np.ndarray, item: np.ndarray, rating: np.ndarray, without: np.ndarray
) -> RatingTasks:
    """Every rating by user, in the order given, of all but some users.

    Args:
      user, item: int [N] catalogue rows.
      rating: float [N].
      without: int [K], users who are left out.
    """
    order = np.argsort(user, kind="stable")
    order = order[~np.isin(user[order], without)]
    users, counts = np.unique(user[order], return_counts=True)
    return RatingTasks(
        users.astype(np.int32),
        starts_of(counts),
        item[order].astype(np.int32),
        rating[order].astype(np.float32),
    )


def check_ratings(name: str, table: pd.DataFrame, config: RatingDataConfig) -> None:
    """Refuses ratings outside the scale; `table` has columns user, item, value.

    Raises:
      ValueError: The message names the first such rating.
    """
    value = table["value"].to_numpy(np.float64)
    wrong = ~((value >= config.lowest) & (value <= config.highest))
    if wrong.any():
        row = {name: column.iloc[int(np.argmax(wrong))] for name, column in table.items()}
        raise ValueError(
            f"Ratings of {name} must lie between {config.lowest:g} and {config.highest:g} "
            f"(options tasks.lowest and tasks.highest). Received: {row['value']:g} of user "
            f"{row['user']} for item {row['item']}; there are {int(wrong.sum())} such ratings."
        )


def draw_tasks(
    user: np.ndarray,
    item: np.ndarray,
    rating: np.ndarray,
    config: RatingDataConfig,
    rng: np.random.Generator,
) -> RatingTasks:
    """One task for each user with at least `min_ratings`: at most `max_ratings`, in random order.

    Args:
      user, item: int [N] catalogue rows.
      rating: float [N].
      config: Sizes.
      rng: Source of randomness.

    Raises:
      ValueError: No user has enough ratings.
    """
    shuffled = rng.permutation(len(user))
    order = shuffled[np.argsort(user[shuffled], kind="stable")]
    users, first, counts = np.unique(user[order], return_index=True, return_counts=True)
    kept = counts >= config.min_ratings
    if not kept.any():
        raise ValueError(
            f"No user has {config.min_ratings} ratings (tasks.min_ratings), of which a task needs "
            f"{config.query} as its query. The most any user has: {counts.max()}."
        )
    sizes = np.minimum(counts[kept], config.max_ratings)
    spans = zip(first[kept], sizes, strict=True)
    rows = order[np.concatenate([np.arange(start, start + size) for start, size in spans])]
    starts = starts_of(sizes)
    return RatingTasks(
        users[kept].astype(np.int32),
        starts,
        item[rows].astype(np.int32),
        rating[rows].astype(np.float32),
    )


def choose_meta_test(
    tasks: RatingTasks,
    user_ids: np.ndarray,
    config: RatingDataConfig,
    rng: np.random.Generator,
    are_new: AreNew | None = None,
    before: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Places of the tasks to learn from and of those that are asked.

    `warm-warm`: a random share is asked, of those whom `are_new` says to be new. `cold-warm`: the
    first users by id are learned from, and a random share of all, out of the other users, is asked.
    A given list: exactly these are asked.

    Args:
      tasks: All of them.
      user_ids: Raw ids.
      config: Says who is asked.
      rng: Draws them.
      are_new: Which users, by id, may be asked; None: all.
      before: int [K], users whom the run that is continued has learned from: they are never asked.

    Raises:
      FileNotFoundError: The file of meta-test users is missing.
      ValueError: It names a user whom nobody knows, or who was learned from before, none that has
        enough ratings, or leaves none to learn from.
    """
    ids = user_ids[tasks.user]
    may_be = np.ones(len(tasks), bool) if before is None else ~np.isin(tasks.user, before)
    if config.meta_test_users is not None:
        listed = _listed_users(Path(config.meta_test_users))
        strangers = rows_of(listed, as_text(user_ids)) < 0
        if strangers.any():
            raise ValueError(
                f"The user {listed[strangers][0]} of {config.meta_test_users} is not in the data "
                "set."
            )
        asked = rows_of(as_text(ids), np.unique(listed)) >= 0
        check_not_before(tasks.user[asked], before, user_ids, str(config.meta_test_users))
        return _both_parts(np.flatnonzero(~asked), np.flatnonzero(asked))
    number = max(1, round(config.meta_test_fraction * len(tasks)))
    if config.split == "warm-warm":
        new = np.arange(len(tasks)) if are_new is None else np.flatnonzero(are_new(as_text(ids)))
        new = new if len(new) > 1 else np.arange(len(tasks))
        number = max(1, round(config.meta_test_fraction * len(new)))
        asked = rng.permutation(new[may_be[new]])[:number]
        return _both_parts(np.setdiff1d(np.arange(len(tasks)), asked), np.sort(asked))
    by_id = np.argsort(ids, kind="stable")
    cold = round(config.cold_fraction * len(tasks))
    later = by_id[cold:]
    warm = rng.permutation(later[may_be[later]])[:number]
    return _both_parts(np.sort(by_id[:cold]), np.sort(warm))


def check_not_before(
    asked: np.ndarray, before: np.ndarray | None, user_ids: np.ndarray, path: str
) -> None:
    """Refuses users who are to be asked, int [K] rows, and were learned from before.

    Raises:
      ValueError: There is one.
    """
    known = asked[:0] if before is None else np.intersect1d(asked, before)
    if len(known):
        raise ValueError(
            f"The users of {path} who are asked must be new to the run that is continued, which "
            f"learned from the user {user_ids[known[0]]}."
        )


def _both_parts(learned: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(learned) or not len(asked):
        raise ValueError(
            "There must be users to learn from and others to ask, each with enough ratings. "
            f"Received: {len(learned)} and {len(asked)}."
        )
    return learned, asked


def _listed_users(path: Path) -> np.ndarray:
    """The ids of a file, one a line, object [N] of str."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"The file of meta-test users {path} must be UTF-8 text.") from error
    users = [line.strip() for line in lines if line.strip()]
    if not users:
        raise ValueError(f"The file of meta-test users {path} is empty.")
    return np.array(users, object)
