"""Evaluation tasks of the ranking setting: drawn once, saved and hashed, the same for all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from cmml_tf.datasets.reading.ids import as_text
from cmml_tf.datasets.tasks.users.taken_items import RankingTasks
from cmml_tf.episodes.asked.saved_tasks import SavedTasks
from cmml_tf.episodes.asked.swapped_tasks import others
from cmml_tf.types import Support, starts_of

_TASKS_PER_BATCH = 64


class NewcomerBatch(NamedTuple):
    """B tasks; the query is the catalogue without what is known.

    Attributes:
      support: `Support` of the tasks as they are asked: what a system reads.
      known: bool [B, I], what the user has taken already: it is not ranked, whatever is read.
      taken: bool [B, I], what is to be found.
    """

    support: Support
    known: np.ndarray
    taken: np.ndarray


@dataclass(frozen=True)
class AskedNewcomers(SavedTasks):
    """T tasks of held-out users: what is known of each, and what else each has taken.

    Attributes:
      names: str [T], the users' ids.
      user: int32 [T], their rows.
      size: int32 [T], group of a task: known items, -1 for 80%.
      support_start, support_item: int64 [T + 1], int32: what a system reads.
      known_start, known_item: What the user has taken already; the same but for swapped tasks.
      query_start, query_item: What is to be found.
      item_known: bool [I], which items of the catalogue somebody who is learned from has taken.
    """

    names: np.ndarray
    user: np.ndarray
    size: np.ndarray
    support_start: np.ndarray
    support_item: np.ndarray
    known_start: np.ndarray
    known_item: np.ndarray
    query_start: np.ndarray
    query_item: np.ndarray
    item_known: np.ndarray

    @classmethod
    def of(
        cls, tasks: RankingTasks, user_ids: np.ndarray, item_known: np.ndarray
    ) -> "AskedNewcomers":
        """The tasks with the ids of their users, and which items are known."""
        user, support, query = tasks.support.user, tasks.support, tasks.query
        names = np.array(as_text(user_ids[user]), str)
        known = support.starts, support.item
        return cls(
            *(names, user, tasks.known),
            *(*known, *known, query.starts, query.item, item_known),
        )

    def __len__(self) -> int:
        return len(self.user)

    @property
    def items(self) -> int:
        """I of the catalogue."""
        return len(self.item_known)

    def __iter__(self) -> Iterator[NewcomerBatch]:
        for first in range(0, len(self), _TASKS_PER_BATCH):
            places = range(first, min(first + _TASKS_PER_BATCH, len(self)))
            parts = [self._part("support", place) for place in places]
            length = np.array([len(part) for part in parts], np.int32)
            item = np.zeros([len(parts), max(1, int(length.max()))], np.int32)
            for row, part in enumerate(parts):
                item[row, : len(part)] = part
            user = np.repeat(self.user[places, None], item.shape[1], axis=1)
            support = Support(user, item, np.ones(item.shape, np.float32), length)
            yield NewcomerBatch(
                support, self._marked("known", places), self._marked("query", places)
            )

    def _part(self, name: str, place: int) -> np.ndarray:
        start, item = getattr(self, f"{name}_start"), getattr(self, f"{name}_item")
        return item[start[place] : start[place + 1]]

    def _marked(self, name: str, places: Sequence[int]) -> np.ndarray:
        marked = np.zeros([len(places), self.items], bool)
        for row, place in enumerate(places):
            marked[row, self._part(name, place)] = True
        return marked

    def counts(self) -> dict[str, np.ndarray]:
        """Items that each user has taken, known or to be found, int: a user once, by name."""
        taken = np.diff(self.known_start) + np.diff(self.query_start)
        _, first = np.unique(self.names, return_index=True)
        return {"items taken": taken[first]}

    def known(self) -> dict[str, float]:
        """Shares of what is asked that are known: no user, and items that others have taken."""
        return {"users": 0.0, "items": float(self.item_known[self.query_item].mean())}

    def take(self, places: np.ndarray) -> "AskedNewcomers":
        """The tasks at these places."""
        changes = {name: getattr(self, name)[places] for name in ("names", "user", "size")}
        for name in ("support", "known", "query"):
            changes |= self._replaced(name, [self._part(name, place) for place in places])
        return replace(self, **changes)

    def of_size(self, size: int) -> "AskedNewcomers":
        """The tasks of a group."""
        return self.take(self.places_of_size(size))

    def places_of_size(self, size: int) -> np.ndarray:
        """Where the tasks of a group are, int64."""
        return np.flatnonzero(self.size == size)

    def with_nothing_known(self) -> "AskedNewcomers":
        """Each user once, with all that was taken to be found."""
        first = np.sort(np.unique(self.user, return_index=True)[1])
        tasks, nothing = self.take(first), [self.query_item[:0]] * len(first)
        both = [
            np.concatenate([tasks._part("known", place), tasks._part("query", place)])
            for place in range(len(first))
        ]
        return replace(
            tasks,
            size=np.zeros_like(tasks.size),
            **tasks._replaced("support", nothing),
            **tasks._replaced("known", nothing),
            **tasks._replaced("query", both),
        )

    def swapped(self, draw: int) -> "AskedNewcomers":
        """The same questions; what is read is the support of another task, at random.

        Args:
          draw: Which draw; the same number gives the same ones.

        Raises:
          ValueError: There is only one task.
        """
        places = others(len(self), draw, "tasks")
        return replace(
            self, **self._replaced("support", [self._part("support", place) for place in places])
        )

    @staticmethod
    def _replaced(name: str, parts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        return {
            f"{name}_start": starts_of([len(part) for part in parts]),
            f"{name}_item": np.concatenate(parts).astype(np.int32),
        }


@dataclass(frozen=True)
class NewcomerCurve:
    """Tasks by how much is known; what is not known is asked, so the questions differ in size.

    Attributes:
      asked: Of all sizes.
    """

    asked: AskedNewcomers
    draws: int = 1
    same_questions: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        """Known items by what the size is called: 0, 1, ... and `80%`."""
        found = np.unique(self.asked.size).tolist()
        ordered = [0, *sorted(one for one in found if one > 0), *(one for one in found if one < 0)]
        return {"80%" if size < 0 else str(size): size for size in ordered}

    def tasks(self, size: int, draw: int) -> AskedNewcomers:
        """Those of a size; there is one draw."""
        del draw
        return self.asked.with_nothing_known() if size == 0 else self.asked.of_size(size)

    def places(self, size: int, draw: int) -> np.ndarray | None:
        """Of a size among all."""
        del draw
        return None if size == 0 else self.asked.places_of_size(size)

    def fingerprint(self) -> str:
        """sha256 (hex): which tasks these are."""
        return self.asked.fingerprint()
