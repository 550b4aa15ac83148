"""One view of one feature as a sparse row: tokens by rarity, a number by its place, a vector.

A block is what a feature says before the projection. Rows in which the feature is unknown are
empty. `columns` turns values into rows; a fitted block does it for values that it never saw.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from cmml_tf.content import tokens
from cmml_tf.types import ContentColumn

TOKENS: dict[str, Callable[[Sequence[Any]], tokens.Tokens]] = {
    "values": tokens.whole_values,
    "members": tokens.members,
    "words": tokens.words,
    "grams": tokens.grams,
}
"""What a token block counts, and how it is found."""

PARTS = {
    "categorical": ("values",),
    "multi-hot": ("members",),
    "text": ("words", "grams"),
    "numeric": ("number",),
    "vector": ("vector",),
}
"""The blocks of a feature, by its kind. They share the feature's weight."""

_MOST_TOKENS = 20_000
_QUANTILES = 9


@dataclass(frozen=True)
class TokenBlock:
    """Values, words or runs of characters that stand in at least two rows.

    A row is idf-weighted over its different known tokens and has norm 1. idf = log((1 + N) / (1 +
    n)) + 1 with n of N rows; 1 for `values`, where a row has one token.

    Attributes:
      part: A name of `TOKENS`.
      keys: int64 [V], sorted.
      idf: float32 [V], of the keys, or [V + 1] with a weight for all other values (`values` alone).
    """

    part: str
    keys: np.ndarray
    idf: np.ndarray

    @property
    def width(self) -> int:
        """V or V + 1."""
        return len(self.idf)

    def columns(self, values: Sequence[Any]) -> tuple[sparse.csr_array, np.ndarray]:
        """float64 [N, width] of the values, and bool [N], in which rows anything is known."""
        found = TOKENS[self.part](values)
        place = np.searchsorted(self.keys, found.key)
        known = self.keys[np.minimum(place, len(self.keys) - 1)] == found.key
        if self.width > len(self.keys):
            place, known = np.where(known, place, len(self.keys)), np.ones_like(known)
        distinct = np.unique(found.of_row[known] * self.width + place[known])
        row, place = np.divmod(distinct, self.width)
        weight = self.idf.astype(np.float64)[place]
        square = np.bincount(row, weight**2, len(values))
        weight /= np.sqrt(square[row])
        shape = (len(values), self.width)
        return sparse.csr_array((weight, (row, place)), shape=shape), square > 0


@dataclass(frozen=True)
class NumberBlock:
    """A number as its standardised value and as its place among the quantiles.

    Beyond the first and last quantile a number counts as that one. Between two the places' weights
    are linear, so that nothing jumps.

    Attributes:
      knots: float32 [K], the quantiles, ascending.
      mean, deviation: Of the numbers within them.
    """

    knots: np.ndarray
    mean: float
    deviation: float

    @property
    def width(self) -> int:
        """1 + K."""
        return 1 + len(self.knots)

    def columns(self, values: Sequence[float]) -> tuple[sparse.csr_array, np.ndarray]:
        """float64 [N, 1 + K] of the values, and bool [N], which are known."""
        number = np.asarray(values, np.float32).astype(np.float64)
        known = ~np.isnan(number)
        knots = self.knots.astype(np.float64)
        number = np.clip(np.where(known, number, knots[0]), knots[0], knots[-1])[:, None]
        passed = np.clip((number - knots[:-1]) / np.diff(knots), 0, 1)  # [N, K - 1]
        place = np.pad(passed, ((0, 0), (1, 0)), constant_values=1)
        place -= np.pad(passed, ((0, 0), (0, 1)))
        dense = np.concatenate([(number - self.mean) / self.deviation, place], axis=1)
        return sparse.csr_array(dense * known[:, None]), known


@dataclass(frozen=True)
class VectorBlock:
    """Given vectors, as they are.

    Attributes:
      width: Their size.
    """

    width: int

    def columns(self, values: Sequence[Any]) -> tuple[sparse.csr_array, np.ndarray]:
        """float64 [N, width] of the values, and bool [N], which are known."""
        vectors = np.asarray(values, np.float64).reshape(len(values), self.width)
        known = ~np.isnan(vectors).any(axis=1)
        return sparse.csr_array(np.where(known[:, None], vectors, 0)), known


Block = TokenBlock | NumberBlock | VectorBlock


def learn_blocks(column: ContentColumn) -> list[Block]:
    """The blocks of a feature; none of one that is the same everywhere or nowhere known."""
    found = (_learn(part, column.values) for part in PARTS[column.kind])
    return [block for block in found if block is not None]


def _learn(part: str, values: np.ndarray) -> Block | None:
    if part == "vector":
        return VectorBlock(values.shape[1])
    return _number(values) if part == "number" else _tokens(part, values)


def _number(values: np.ndarray) -> NumberBlock | None:
    numbers = values.astype(np.float32)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return None
    quantiles = np.quantile(numbers, np.linspace(0, 1, _QUANTILES), method="nearest")
    knots = np.unique(quantiles).astype(np.float32)
    if len(knots) < 2:
        return None
    inside = np.clip(numbers, knots[0], knots[-1]).astype(np.float64)
    return NumberBlock(knots, float(inside.mean()), float(inside.std()))


def _tokens(part: str, values: np.ndarray) -> TokenBlock | None:
    found = TOKENS[part](values)
    keys, place = np.unique(found.key, return_inverse=True)
    distinct = np.unique(found.of_row * max(1, len(keys)) + place)
    rows = np.bincount(distinct % max(1, len(keys)), minlength=len(keys))  # that have each key
    kept = np.sort(np.lexsort((keys, -rows))[:_MOST_TOKENS])
    kept = kept[rows[kept] >= 2]
    if not len(kept):
        return None
    if part == "values":
        has_others = len(kept) < len(keys)
        return TokenBlock(part, keys[kept], np.ones(len(kept) + has_others, np.float32))
    present = len(np.unique(found.of_row))
    idf = np.log((1 + present) / (1 + rows[kept])) + 1
    return TokenBlock(part, keys[kept], idf.astype(np.float32))
