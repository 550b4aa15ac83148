"""Evaluation tasks of the user setting: drawn once, saved and hashed, the same for every system."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cmml_tf.datasets.reading.ids import as_text
from cmml_tf.datasets.tasks.rating_tasks import RatingTasks
from cmml_tf.episodes.saved_tasks import SavedTasks, require_another
from cmml_tf.types import Episode, Support

_USERS_PER_BATCH = 64


@dataclass(frozen=True)
class AskedUsers(SavedTasks):
    """T held-out users: their last ratings are asked, those before are known.

    Attributes:
      names: str [T], the users' ids.
      user: int32 [T], rows of the user catalogue.
      starts: int64 [T + 1], ratings of user t are those from starts[t] to starts[t + 1].
      item: int32 [R], rows of the item catalogue.
      rating: float32 [R].
      query: int64 [], how many of each user's ratings are asked.
    """

    names: np.ndarray
    user: np.ndarray
    starts: np.ndarray
    item: np.ndarray
    rating: np.ndarray
    query: np.ndarray

    @classmethod
    def of(cls, tasks: RatingTasks, query: int, user_ids: np.ndarray) -> "AskedUsers":
        """The users of these tasks.

        Args:
          tasks: Users, each with more ratings than the query.
          query: Query ratings of a task.
          user_ids: The id of each row of the user catalogue.
        """
        names = np.array(as_text(user_ids[tasks.user]), str)
        return cls(names, tasks.user, tasks.starts, tasks.item, tasks.rating, np.int64(query))

    def __len__(self) -> int:
        return len(self.user)

    def batches(self, longest: int | None = None, batch: int = _USERS_PER_BATCH) -> list[Episode]:
        """All users in order, as `Episode`s of arrays.

        Args:
          longest: Support ratings at the most, the first ones; None: all.
          batch: Users of an element.
        """
        query = int(self.query)
        lengths = np.diff(self.starts)
        S = int(lengths.max()) - query
        support_length = lengths - query
        inside = np.arange(S) < support_length[:, None]
        rows = np.arange(S) + self.starts[:-1, None]
        rows = np.where(inside, rows, self.starts[:-1, None])
        asked = self.starts[1:, None] - query + np.arange(query)
        if longest is not None:
            support_length = np.minimum(support_length, longest)
        episodes = []
        for first in range(0, len(self), batch):
            part = slice(first, first + batch)
            user = self.user[part, None]
            support = Support(
                np.repeat(user, S, axis=1),
                self.item[rows[part]],
                self.rating[rows[part]],
                support_length[part].astype(np.int32),
            )
            query_user = np.repeat(user, query, axis=1)
            label = self.rating[asked[part]]
            episodes.append(Episode(support, query_user, self.item[asked[part]], label))
        return episodes

    def __iter__(self) -> Iterator[Episode]:
        return iter(self.batches())

    def swapped(self) -> list[Episode]:
        """The same questions with another user's support ratings: those of the user before.

        The user profile stays the own one, on both sides: only the ratings are another's.

        Raises:
          ValueError: There is only one user.
        """
        require_another(len(self), "users")
        (whole,) = self.batches(batch=len(self))
        item, label, length = (np.roll(array, 1, axis=0) for array in whole.support[1:])
        everyone = whole._replace(support=Support(whole.support.user, item, label, length))
        return [_part(everyone, first) for first in range(0, len(self), _USERS_PER_BATCH)]


def _part(everyone: Episode, first: int) -> Episode:
    part = slice(first, first + _USERS_PER_BATCH)
    support = Support(*(field[part] for field in everyone.support))
    return Episode(support, *(field[part] for field in everyone[1:]))
