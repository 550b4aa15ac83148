"""Users as tasks of ranking: what each has taken, a part of it known and the rest asked."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.config import Protocol
from cmml_tf.types import ContentColumn, starts_of

LEAST_TAKEN, LEAST_QUERY = 10, 3
"""Items that a user has taken at the least, and those of them that are asked."""
SIZES = (1, 3, 5, 10, 20, -1)
"""Items of a support that are asked with; -1: 80% of what a user has taken."""
_LARGE = 0.8


@dataclass(frozen=True)
class TakenItems:
    """What T users have taken, each item once.

    Attributes:
      user: int32 [T], rows of the users.
      starts: int64 [T + 1], items of user t are those from starts[t] to starts[t + 1].
      item: int32 [N], rows of the catalogue.
    """

    user: np.ndarray
    starts: np.ndarray
    item: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    @property
    def lengths(self) -> np.ndarray:
        """int64 [T]."""
        return np.diff(self.starts)

    def of(self, place: int) -> np.ndarray:
        """int32 [n], the items of the user at a place."""
        return self.item[self.starts[place] : self.starts[place + 1]]

    def matrix(self, items: int) -> csr_matrix:
        """float32 [T, items], 1 where a user has taken an item; further items are not in it."""
        inside = self.item < items
        starts = np.append(0, np.cumsum(inside, dtype=np.int64))[self.starts]
        item = self.item[inside]
        matrix = csr_matrix((np.ones(len(item), np.float32), item, starts), (len(self), items))
        matrix.sort_indices()
        return matrix

    def renamed(self, rows: np.ndarray) -> "TakenItems":
        """The same users; the item of row i is that of row rows[i], int [I]."""
        return TakenItems(self.user, self.starts, rows[self.item].astype(np.int32))

    def take(self, places: Sequence[int] | np.ndarray) -> "TakenItems":
        """The users at these places, in this order."""
        parts = [self.of(place) for place in places]
        return TakenItems.joined(self.user[places], parts)

    @classmethod
    def joined(cls, user: np.ndarray, parts: Sequence[np.ndarray]) -> "TakenItems":
        """Of users int [T] and what each has taken."""
        starts = starts_of([len(part) for part in parts])
        item = np.concatenate(parts) if parts else np.zeros(0)
        return cls(np.asarray(user, np.int32), starts, item.astype(np.int32))


@dataclass(frozen=True)
class RankingTasks:
    """T tasks: what is known of a user, and what else the user has taken.

    Attributes:
      known: int32 [T], one of `SIZES`, or what a task file says.
      support, query: Of the same T users.
    """

    known: np.ndarray
    support: TakenItems
    query: TakenItems

    def __len__(self) -> int:
        return len(self.known)


@dataclass(frozen=True)
class RankingData:
    """All that training, evaluation and export of the ranking setting need.

    Attributes:
      name: Of the source.
      user_ids: Raw ids of the users.
      item_ids: Raw ids of the catalogue, the most taken first: what users who are learned from
        have taken. In a run that continues another that one's catalogue is in front.
      learned: The users who are learned from.
      asked: Tasks of other users.
      counts: What the data holds, for people.
      item_features: What is known of each item beside who took it; none where nothing is.
      protocol: `strict`: nothing of a user who is asked was known before; `time`: what was before
        a moment is known, and what each has taken stands in the order of time.
      moment: `time`: when the users who are asked begin, as ISO 8601 in UTC.
    """

    name: str
    user_ids: np.ndarray
    item_ids: np.ndarray
    learned: TakenItems
    asked: RankingTasks
    counts: dict[str, int]
    item_features: tuple[ContentColumn, ...] = ()
    protocol: Protocol = "strict"
    moment: str | None = None

    @property
    def in_order(self) -> bool:
        """Whether a support is what a user took first, not what is drawn."""
        return self.protocol == "time"

    @property
    def taken(self) -> np.ndarray:
        """int64 [I], how many of the users who are learned from have taken an item."""
        return np.bincount(self.learned.item, minlength=len(self.item_ids))

    def fingerprint(self) -> str:
        """sha256 (hex) over ids, protocol, features and every item of every part."""
        digest = hashlib.sha256("\n".join(map(str, (*self.user_ids, -1, *self.item_ids))).encode())
        digest.update(self.asked.known.tobytes())
        for part in (self.learned, self.asked.support, self.asked.query):
            for array in (part.user, part.starts, part.item):
                digest.update(np.ascontiguousarray(array).tobytes())
        if self.moment is not None:
            digest.update(self.moment.encode())
        for column in self.item_features:
            digest.update(f"{column.name}\n{column.kind}\n".encode())
            values = column.values
            text = values.dtype.kind == "O"
            digest.update("\n".join(map(str, values)).encode() if text else values.tobytes())
        return digest.hexdigest()


def draw_tasks(taken: TakenItems, rng: np.random.Generator, in_order: bool = False) -> RankingTasks:
    """A task of every size for each user with at least `LEAST_TAKEN` items.

    The query is all that is not known, `LEAST_QUERY` items at the least.

    Args:
      taken: The users.
      rng: Draws what is known.
      in_order: What is known is what stands first.
    """
    known, user, support, query = [], [], [], []
    for size in SIZES:
        for place in np.flatnonzero(taken.lengths >= LEAST_TAKEN):
            items = taken.of(place) if in_order else rng.permutation(taken.of(place))
            first = int(_LARGE * len(items)) if size < 0 else size
            if len(items) - first >= LEAST_QUERY:
                known.append(size)
                user.append(taken.user[place])
                support.append(items[:first])
                query.append(items[first:])
    users = np.array(user, np.int32)
    return RankingTasks(
        np.array(known, np.int32),
        TakenItems.joined(users, support),
        TakenItems.joined(users, query),
    )


def size_of(rng: np.random.Generator, items: int, empty: float, large: float) -> int:
    """How many of a training user's items are known: none, 80%, or any number, few more often."""
    draw, most = rng.random(), items - LEAST_QUERY
    if draw < empty:
        return 0
    if draw < empty + large:
        return min(int(_LARGE * items), most)
    return min(int(np.exp(rng.uniform(0.0, np.log(most + 1)))), most)
