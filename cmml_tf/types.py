"""Shapes and structures that every part shares.

Shape letters, everywhere the same: B tasks, S support pairs, Q query pairs, d pair embedding,
D context, H hidden units, M modules of a layer, L layers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Array = Any
"""A NumPy array or a TensorFlow tensor; the fields below say dtype and shape."""


AreNew = Callable[[Sequence[Any]], np.ndarray]
"""Names of tasks, as text -> bool [N]: which of them no model under evaluation has learned from."""

FEATURE_KINDS = ("id", "categorical", "multi-hot", "numeric")
"""Kinds of a `Feature`."""


class Support(NamedTuple):
    """The labelled examples of B tasks (paper section 2.1).

    Attributes:
      user: int32 [B, S], rows of the user embedding table.
      item: int32 [B, S], rows of the item embedding table.
      label: float32 [B, S], 1 positive and 0 negative (user setting: the rating).
      length: int32 [B], how many leading pairs are support; what lies behind is never read.
    """

    user: Array
    item: Array
    label: Array
    length: Array


def empty_support(support: Support) -> Support:
    """The support of the same tasks with nothing in it: one pair that is never read.

    Takes and gives arrays as well as tensors; no model takes an axis of length 0.
    """
    user, item, label = (part[:, :1] for part in support[:3])
    return Support(user, item, label, support.length * 0)


class Episode(NamedTuple):
    """B tasks: what each adapts to, and what it is then asked.

    In the scenario setting the first half of the query are positives and the second half their
    negatives, pair k against pair Q/2 + k (equation 4).

    Attributes:
      support: `Support` of the B tasks.
      query_user: int32 [B, Q]; where training with `MatchingSampler` [B, P], pair k is of user k
        mod P.
      query_item: int32 [B, Q].
      query_label: float32 [B, Q].
    """

    support: Support
    query_user: Array
    query_item: Array
    query_label: Array


class SampledEpisode(NamedTuple):
    """An `Episode` whose query stands for more: all that is taken, and a sample of the rest.

    Attributes:
      support, query_user, query_item, query_label: As of `Episode`.
      log_expected: float32 [B, Q], logarithm of how often the sample is expected to hold an item.
    """

    support: Support
    query_user: Array
    query_item: Array
    query_label: Array
    log_expected: Array


@dataclass(frozen=True)
class Feature:
    """One declared feature of users or items: all that preprocessing, model and serving need.

    Attributes:
      name: As signatures and documents call it.
      kind: `id` (the entity itself), `categorical` (one value), `multi-hot` (any number of values)
        or `numeric`.
      vocabulary: The known values; the row behind them stands for all others. Not for `numeric`.
      mean, deviation: `numeric`: what values are standardised with.

    Raises:
      ValueError: The kind is none of these, or the vocabulary is empty or repeats.
    """

    name: str
    kind: str
    vocabulary: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in FEATURE_KINDS:
            raise ValueError(
                f"`kind` must be one of {', '.join(FEATURE_KINDS)}. "
                f"Received: kind={self.kind!r} of the feature {self.name!r}."
            )
        has_vocabulary = len(self.vocabulary) > 0
        if has_vocabulary == (self.kind == "numeric"):
            raise ValueError(
                "`vocabulary` must be empty for a numeric feature and hold a value for any other. "
                f"Received: {len(self.vocabulary)} values of {self.name!r}, kind={self.kind!r}."
            )
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise ValueError(f"`vocabulary` of {self.name!r} must not repeat a value.")
        if not self.deviation > 0:
            raise ValueError(
                f"`deviation` must be a positive number. Received: deviation={self.deviation}."
            )


class FeatureColumn(NamedTuple):
    """A feature of N known users or items, and of one more row that stands for an unknown one.

    Attributes:
      feature: What it is.
      values: `id`, `categorical`: int32 [N + 1], vocabulary rows. `multi-hot`: int32, the members
        of all rows one behind the other. `numeric`: float32 [N + 1], standardised.
      starts: `multi-hot`: int64 [N + 2], members of row r are values[starts[r]:starts[r + 1]];
        None for the others.
    """

    feature: Feature
    values: np.ndarray
    starts: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """N, the known users or items."""
        return len(self.values if self.starts is None else self.starts[1:]) - 1


CONTENT_KINDS = ("categorical", "multi-hot", "numeric", "text", "vector")
"""Kinds of a `ContentColumn`: those of the user setting without the id, and two more."""


class ContentColumn(NamedTuple):
    """What is known of N users or items in one respect, as it was given.

    Attributes:
      name: As signatures and documents call it.
      kind: `categorical` (one value), `multi-hot` (any number of values), `numeric`, `text` (words)
        or `vector` (numbers of somebody else's making, such as a sentence embedding).
      values: `categorical`, `text`: object [N] of str, "" where unknown. `multi-hot`: object [N]
        of tuples of str, empty where unknown. `numeric`: float64 [N], NaN where unknown. `vector`:
        float32 [N, w], a row of NaN where unknown.
    """

    name: str
    kind: str
    values: np.ndarray

    @property
    def is_known(self) -> np.ndarray:
        """bool [N]: of which rows it is known."""
        if self.kind == "vector":
            return ~np.isnan(self.values).any(axis=1)
        if self.kind == "numeric":
            return ~np.isnan(self.values)
        return np.fromiter(map(bool, self.values), bool, len(self.values))

    @property
    def known(self) -> int:
        """Of how many rows it is known."""
        return int(self.is_known.sum())


def lengths_mask(length: np.ndarray, size: int) -> np.ndarray:
    """bool [B, size]: which of `size` positions lie before each length [B]."""
    return np.arange(size)[None, :] < np.asarray(length)[:, None]


def starts_of(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """int64 [T + 1]: where each of T parts of these sizes begins, and where the last one ends."""
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(np.asarray(counts, np.int64), out=starts[1:])
    return starts
