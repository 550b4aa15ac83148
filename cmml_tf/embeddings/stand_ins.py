"""Of an item that is in no table: the items of the tables that those who took it took as well.

Tables grow with the square of their items, so they hold the most taken ones alone. A user of whom
another item is known is read as one who has taken, in parts, those that stand in for it:

  share_jh ~ c_jh / sqrt(c_h),   c the counts X^T X, of the few largest h, sum 1.

With all h in place of a few that would be a cosine's neighbours (c_j is the same for all h).
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from cmml_tf.datasets.tasks.users.taken_items import TakenItems

STAND_INS = 4
"""For each item. Of half of the users of the e-shop (docs/ranking.md) 8 and 16 are within .004."""
_LEAST_TAKERS = 2
_PRODUCTS_AT_A_TIME = 2**24


class StandIns(NamedTuple):
    """For each of N items that are in no table.

    Attributes:
      item: int32 [N, n], items in the tables.
      share: float32 [N, n], how much of each; 0 behind the last. An item with less than two takers
        has none.
    """

    item: np.ndarray
    share: np.ndarray

    @classmethod
    def none(cls, items: int, number: int = STAND_INS) -> "StandIns":
        """Of N items of which nothing is known."""
        return cls(np.zeros([items, number], np.int32), np.zeros([items, number], np.float32))

    def read_as(
        self, item: np.ndarray, task: np.ndarray, table_items: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Items int [N] of tasks int [N] as table items, their tasks, and how much of each."""
        outside = item >= table_items
        place = item[outside] - table_items
        share = self.share[place]
        some = share > 0
        tasks = np.broadcast_to(task[outside][:, None], share.shape)
        ones = np.ones(int((~outside).sum()), np.float32)
        return (
            np.concatenate([item[~outside], self.item[place][some]]),
            np.concatenate([task[~outside], tasks[some]]),
            np.concatenate([ones, share[some]]),
        )

    def followed_by(self, further: int) -> "StandIns":
        """With so many items behind them of which nothing is known."""
        none = StandIns.none(further, self.item.shape[1])
        return StandIns(
            np.concatenate([self.item, none.item]), np.concatenate([self.share, none.share])
        )


def find_stand_ins(
    taken: TakenItems, items: int, table_items: int, number: int = STAND_INS
) -> StandIns:
    """Those of items `table_items` to `items`, by what users have taken.

    Args:
      taken: What each user has taken; items of the tables are those below `table_items`.
      items: I of the catalogue.
      table_items: M.
      number: n.
    """
    matrix = taken.matrix(items)
    inside, outside = matrix[:, :table_items], matrix[:, table_items:].T.tocsr()
    times = np.maximum(np.asarray(inside.sum(axis=0), np.float64).ravel(), 1.0)
    found = StandIns.none(items - table_items, number)
    # As many items at a time as fit: how many products each takes is known beforehand.
    lengths = np.diff(inside.indptr)
    products = np.append(0, np.cumsum(lengths[outside.indices]))[outside.indptr]
    first, items_outside = 0, outside.shape[0]
    while first < items_outside:
        fits = np.searchsorted(products, products[first] + _PRODUCTS_AT_A_TIME, side="right") - 1
        last = max(int(fits), first + 1)
        _fill(found, first, outside[first:last], inside, times)
        first = last
    return found


def _fill(
    found: StandIns, first: int, takers: csr_matrix, inside: csr_matrix, times: np.ndarray
) -> None:
    """Those of the items from `first` on, whose takers are [N, T], put into `found`."""
    several = np.flatnonzero(np.diff(takers.indptr) >= _LEAST_TAKERS)
    together = takers[several] @ inside
    lengths = np.diff(together.indptr)
    rows, lengths = several[lengths > 0] + first, lengths[lengths > 0]
    if not len(rows):
        return
    starts, item = np.append(0, np.cumsum(lengths)[:-1]), together.indices
    score = together.data / np.sqrt(times[item])
    share = np.zeros([len(rows), found.item.shape[1]])
    # The best of each row, one after the other: to put all in order would take ten times as long.
    for place in range(share.shape[1]):
        best = np.maximum.reduceat(score, starts)
        at = np.flatnonzero(score == np.repeat(best, lengths))
        of = np.searchsorted(starts, at, side="right") - 1
        order = np.lexsort([item[at], of])
        at, of = at[order], of[order]
        one = np.diff(of, prepend=-1) > 0
        at, of = at[one], of[one]
        some = score[at] > 0
        at, of = at[some], of[some]
        found.item[rows[of], place] = item[at]
        share[of, place] = score[at]
        score[at] = 0.0
    found.share[rows] = share / share.sum(axis=1, keepdims=True)
