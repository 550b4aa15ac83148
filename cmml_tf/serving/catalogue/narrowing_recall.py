"""How much a narrowing keeps of what is best, and how many items it must keep for that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cmml_tf.types import Support

ENOUGH = 0.99
"""Recall from which on no more items are kept."""
_SMALLEST, _LARGEST = 100, 6400
_PAIRS = 2**21
_FEWEST, _MOST = 5, 20
_LENGTHS = (0, 4, 16, 64, 256)


@dataclass(frozen=True)
class SampleTasks:
    """Tasks T by which a narrowing is judged: no labels of theirs are read beyond the support's.

    Attributes:
      support: Rows [T, S] of users and items, labels [T, S] and lengths [T].
      user: int64 [T], who is asked.
    """

    support: Support
    user: np.ndarray

    @classmethod
    def drawn(cls, users: int, items: int) -> "SampleTasks":
        """Supports of random pairs, for an export that comes without tasks."""
        rng, shape = np.random.default_rng(0), (_MOST, 64)
        support = Support(
            rng.integers(0, users, shape),
            rng.integers(0, items, shape),
            rng.integers(0, 2, shape).astype(np.float32),
            np.full(shape[0], shape[1], np.int32),
        )
        return cls(support, rng.integers(0, users, shape[0]))

    @classmethod
    def of(cls, supports: Sequence[Support], users: Sequence[int]) -> "SampleTasks":
        """Tasks [1, S] each, of any S, and who is asked."""
        width = max(support.user.shape[1] for support in supports)

        def column(name: str) -> np.ndarray:
            fields = [np.asarray(getattr(support, name)) for support in supports]
            return np.concatenate([np.pad(f, [(0, 0), (0, width - f.shape[1])]) for f in fields])

        lengths = np.concatenate([np.asarray(support.length) for support in supports])
        support = Support(column("user"), column("item"), column("label"), lengths)
        return cls(support, np.asarray(users, np.int64))

    def task(self, number: int) -> tuple[Support, tf.Tensor]:
        """One task with 0 to 256 pairs of its support, and its user int64 [1]."""
        place = number % len(self.user)
        one = slice(place, place + 1)
        user, item, label = (field[one, : _LENGTHS[-1]] for field in self.support[:3])
        length = np.minimum(self.support.length[one], _LENGTHS[number % len(_LENGTHS)])
        support = Support(
            tf.constant(user, tf.int64),
            tf.constant(item, tf.int64),
            tf.constant(label, tf.float32),
            tf.constant(length, tf.int32),
        )
        return support, tf.constant(self.user[one], tf.int64)


class Kept(NamedTuple):
    """A size, and what it keeps.

    Attributes:
      candidates: Items that are scored.
      recall: Share of the `top_k` best that are scored, mean over tasks.
      tasks: How many tasks that is of.
    """

    candidates: int
    recall: float
    tasks: int


Scores = Callable[[Any, tf.Tensor], tf.Tensor]
"""What the model becomes for a task, user [1] -> float32 [1, I + 1]."""


def kept_by(
    sample: SampleTasks,
    adapt: Callable[..., Any],
    exact: Scores,
    foretold: Scores,
    items: int,
    top_k: int,
    candidates: int | None = None,
    matches: bool = False,
) -> Kept:
    """The smallest size that keeps enough, or the largest there may be.

    Args:
      sample: Whose catalogues are scored whole.
      adapt: Support fields to what the model becomes.
      exact, foretold: Scores of the catalogue.
      items: I.
      top_k: K.
      candidates: The size, where it is given.
      matches: Whether all items of the support are scored beside the candidates.
    """
    ranks = []
    number = int(np.clip(_PAIRS // items, _FEWEST, _MOST))
    for place in range(number):
        support, user = sample.task(place)
        adapted = adapt(*support)
        best = np.argsort(-exact(adapted, user).numpy()[0, :items], kind="stable")[:top_k]
        likely = foretold(adapted, user).numpy()[0, :items]
        named = support.item.numpy()[0, : int(support.length[0])]
        named = named[(named >= 0) & (named < items)] if matches else named[:0]
        likely[named] = np.inf
        above = [np.count_nonzero(likely > likely[item]) for item in best]
        ranks.append(np.maximum(np.array(above) - len(np.unique(named)), 0))
    rank = np.concatenate(ranks)
    sizes = [_SMALLEST << power for power in range(16)]
    sizes = [one for one in sizes if top_k <= one <= min(_LARGEST, items // 2)]
    if candidates is not None:
        sizes = [min(max(candidates, top_k), items)]
    kept = [Kept(size, float(np.mean(rank < size)), number) for size in sizes or [items]]
    return next((one for one in kept if one.recall >= ENOUGH), kept[-1])
