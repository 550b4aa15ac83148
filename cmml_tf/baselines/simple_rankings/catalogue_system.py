"""How a simple system ranks a catalogue: what users have taken, as a matrix, to scores."""

from abc import ABC, abstractmethod

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.types import Support, lengths_mask

_TIE = 1e-6


class CatalogueSystem(ABC):
    """A `Scorer` of all items; popularity breaks ties, and orders all where nothing is known.

    Args:
      taken: int [I], how often each item was taken.
      **settings: The numbers that it was given, by name.
    """

    reads_support = True

    def __init__(self, taken: np.ndarray, **settings: float) -> None:
        self.settings = settings
        self._tie = (_TIE * taken / max(1, int(taken.max(initial=0)))).astype(np.float32)

    @abstractmethod
    def scores(self, support: csr_matrix) -> np.ndarray:
        """float32 [B, I], 1 where a task's user has taken an item -> scores float [B, I]."""

    def adapt(self, support: Support) -> np.ndarray:
        """Scores of the catalogue, float [B, I]."""
        items = len(self._tie)
        read = lengths_mask(support.length, support.label.shape[1]) & (support.label > 0.5)
        read &= support.item < items
        task, place = np.nonzero(read)
        pairs = np.unique(np.stack([task, support.item[task, place]]), axis=1)
        ones = np.ones(pairs.shape[1], np.float32)
        matrix = csr_matrix((ones, tuple(pairs)), shape=(len(read), items))
        return self.scores(matrix) + self._tie

    def score(self, adapted: np.ndarray, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """float [B, Q]."""
        del user
        return np.take_along_axis(adapted, item, axis=1)


class Popularity(CatalogueSystem):
    """How often an item was taken, the same for all."""

    reads_support = False

    def scores(self, support: csr_matrix) -> np.ndarray:
        """float [B, I], zeros: the ties are what is asked."""
        return np.zeros(support.shape, np.float32)


class Chance(Popularity):
    """The same score for all: what a random order is worth, exactly.

    Args:
      items: I.
    """

    def __init__(self, items: int) -> None:
        super().__init__(np.zeros(items))


class TableSystem(CatalogueSystem):
    """The rows of an item-item table, added up over what is known: item-kNN and EASE.

    Args:
      taken: int [I].
      table: float32 [M, M], of the M most taken items; scores of all others are 0.
      **settings: The numbers that it was fitted with.
    """

    def __init__(self, taken: np.ndarray, table: np.ndarray, **settings: float) -> None:
        super().__init__(taken, **settings)
        self._table = table

    def scores(self, support: csr_matrix) -> np.ndarray:
        """float [B, I]."""
        M = len(self._table)
        return np.pad(support[:, :M] @ self._table, [(0, 0), (0, support.shape[1] - M)])


class SumOfTwo(CatalogueSystem):
    """(1 - share) of one system and share of another, each standardised over the catalogue.

    Args:
      taken: int [I].
      first, second: The two.
      share: Of the second.
    """

    def __init__(
        self, taken: np.ndarray, first: CatalogueSystem, second: CatalogueSystem, share: float
    ) -> None:
        super().__init__(taken, share=share)
        self._first, self._second = first, second

    def scores(self, support: csr_matrix) -> np.ndarray:
        """float [B, I]."""
        share = self.settings["share"]
        both = (_standardised(one.scores(support)) for one in (self._first, self._second))
        first, second = both
        return (1 - share) * first + share * second


def _standardised(scores: np.ndarray) -> np.ndarray:
    deviation = scores.std(axis=1, keepdims=True)
    return (scores - scores.mean(axis=1, keepdims=True)) / (deviation + 1e-6)
