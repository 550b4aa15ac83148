"""Evaluation tasks of the user setting: drawn once, saved and hashed, the same for every system."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cmml_tf.datasets.reading.ids import as_text
from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.episodes.asked.saved_tasks import SavedTasks
from cmml_tf.episodes.asked.swapped_tasks import others
from cmml_tf.types import Episode, Support, starts_of

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
      item_known: bool [R], items that someone who is learned from has rated.
      query: int64 [], how many of each user's ratings are asked.
    """

    names: np.ndarray
    user: np.ndarray
    starts: np.ndarray
    item: np.ndarray
    rating: np.ndarray
    item_known: np.ndarray
    query: np.ndarray

    @classmethod
    def of(
        cls,
        tasks: RatingTasks,
        query: int,
        user_ids: np.ndarray,
        items_known: np.ndarray | None = None,
    ) -> "AskedUsers":
        """The users of these tasks.

        Args:
          tasks: Users, each with more ratings than the query.
          query: Query ratings of a task.
          user_ids: The id of each row of the user catalogue.
          items_known: bool [I], items that someone who is learned from has rated; None: all.
        """
        return cls(
            names=np.array(as_text(user_ids[tasks.user]), str),
            user=tasks.user,
            starts=tasks.starts,
            item=tasks.item,
            rating=tasks.rating,
            item_known=np.ones(len(tasks.item), bool)
            if items_known is None
            else items_known[tasks.item],
            query=np.int64(query),
        )

    def __len__(self) -> int:
        return len(self.user)

    def batches(self, batch: int = _USERS_PER_BATCH) -> list[Episode]:
        """All users in order, as `Episode`s of arrays.

        Args:
          batch: Users of an element.
        """
        query, length = int(self.query), self.support_length
        S = max(1, int(length.max()))  # no model takes an empty axis
        rows = self.starts[:-1, None] + np.where(np.arange(S) < length[:, None], np.arange(S), 0)
        asked = self._asked
        episodes = []
        for first in range(0, len(self), batch):
            part = slice(first, first + batch)
            user = self.user[part, None]
            support = Support(
                np.repeat(user, S, axis=1),
                self.item[rows[part]],
                self.rating[rows[part]],
                length[part].astype(np.int32),
            )
            query_user = np.repeat(user, query, axis=1)
            label = self.rating[asked[part]]
            episodes.append(Episode(support, query_user, self.item[asked[part]], label))
        return episodes

    def __iter__(self) -> Iterator[Episode]:
        return iter(self.batches())

    @property
    def support_length(self) -> np.ndarray:
        """int64 [T], ratings that are known of each user."""
        return np.diff(self.starts) - int(self.query)

    @property
    def _asked(self) -> np.ndarray:
        """int64 [T, Q], places of the query ratings."""
        return self.starts[1:, None] - int(self.query) + np.arange(int(self.query))

    @property
    def query_item_known(self) -> np.ndarray:
        """bool [T, Q], whether someone who is learned from has rated the item."""
        return self.item_known[self._asked]

    def counts(self) -> dict[str, np.ndarray]:
        """Ratings that are known, int [T]."""
        return {"known ratings": self.support_length}

    def known(self) -> dict[str, float]:
        """Share of the asked ratings whose user, and whose item, is learned from: of users none."""
        return {"users": 0.0, "items": float(self.query_item_known.mean())}

    def with_known(self, items: np.ndarray) -> "AskedUsers":
        """The same questions to a model that knows these items, bool [I]."""
        return replace(self, item_known=items[self.item])

    def take(self, places: np.ndarray) -> "AskedUsers":
        """The users at these places."""
        rows = np.concatenate([np.arange(self.starts[t], self.starts[t + 1]) for t in places])
        return replace(
            self,
            names=self.names[places],
            user=self.user[places],
            starts=starts_of(np.diff(self.starts)[places]),
            item=self.item[rows],
            rating=self.rating[rows],
            item_known=self.item_known[rows],
        )

    def with_support(self, places: Sequence[np.ndarray]) -> "AskedUsers":
        """The same questions with other ratings as the support.

        Args:
          places: For each user, int [S], places among all ratings.
        """
        rows = np.concatenate(
            [part for both in zip(places, self._asked, strict=True) for part in both]
        )
        return replace(
            self,
            starts=starts_of([len(support) + int(self.query) for support in places]),
            item=self.item[rows],
            rating=self.rating[rows],
            item_known=self.item_known[rows],
        )

    def swapped(self, draw: int) -> "AskedUsers":
        """The same questions with the support ratings of another user, at random among all others.

        The user profile stays the own one, on both sides: only the ratings are another's.

        Args:
          draw: Which draw; the same number gives the same ones.

        Raises:
          ValueError: There is only one user.
        """
        length = self.support_length
        return self.with_support(
            [self.starts[t] + np.arange(length[t]) for t in others(len(self), draw, "users")]
        )
