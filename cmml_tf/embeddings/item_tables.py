"""Item-item tables: what a known item says of every other one, in closed form.

With X the users' items (one row a user, 0 or 1), weights w_u ~ |u|^-g of mean 1 and the Gram matrix
G = X^T diag(w) X:

- EDLAE (Steck 2020): P = (G + diag(L + p / (1 - p) G_jj))^-1, B_ij = -P_ij / P_jj, B_jj = 0. It
  predicts an item from a user's others of which a share p is missing; p = 0 is EASE (Steck 2019).
- Neighbours: c_ij / (sqrt(c_i c_j) + s), shrunken cosines of the counts c = X^T X.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.linalg import inv
from scipy.sparse import csr_matrix, diags

from cmml_tf.datasets.tasks.users.taken_items import TakenItems
from cmml_tf.embeddings.content_columns import ContentColumns, ContentRegression
from cmml_tf.embeddings.stand_ins import StandIns
from cmml_tf.embeddings.table_file import TableFile

_SHRINKAGE, _POWER = 30.0, 0.7
_LEAST = 1e-3  # of a diagonal: an item that nobody of a fold has taken


class Weighting(NamedTuple):
    """What is chosen for a data set.

    Attributes:
      user_power: g; 0: each user counts the same, whatever the number of items.
      penalty: L.
    """

    user_power: float = 0.6
    penalty: float = 30.0


class ItemTables(NamedTuple):
    """What is known of the items, the most taken M of them first.

    Attributes:
      rows: float32 [M, K, M + w] in a file, row i of table k is what item i says of all items and,
        where content is known, of its w numbers.
      popularity: float32 [I], logarithm of how often an item was taken, of mean 0 and deviation 1
        over the catalogue.
      never: The popularity of an item that nobody has taken.
      content: What content foretells; None: nothing is known of items but who took them.
      stand_ins: What items in no table are read as; None: they are not read.
      order: int [I], rows of the catalogue as they stand here; None: in their own order.
    """

    rows: TableFile
    popularity: np.ndarray
    never: float = 0.0
    content: ContentColumns | None = None
    stand_ins: StandIns | None = None
    order: np.ndarray | None = None


class Gram(NamedTuple):
    """X^T diag(|u|^-g) X of some users: those of two groups are the sum of both.

    Attributes:
      matrix: float32 [M, M].
      weight: Sum of the users' weights.
      users: How many have taken something.
    """

    matrix: np.ndarray
    weight: float
    users: int

    @classmethod
    def of(cls, taken: TakenItems, table_items: int, power: float) -> "Gram":
        """Of users and the M most taken items."""
        weights = np.maximum(taken.lengths, 1.0) ** -power
        matrix = gram(taken.matrix(table_items), None if power == 0 else weights)
        some = taken.lengths > 0
        return cls(matrix, float(weights[some].sum()), int(some.sum()))

    def plus(self, other: "Gram") -> "Gram":
        """Of both groups of users."""
        return Gram(
            self.matrix + other.matrix, self.weight + other.weight, self.users + other.users
        )

    def among(self, items: np.ndarray) -> "Gram":
        """Of these items alone, int [n]."""
        return self._replace(matrix=self.matrix[np.ix_(items, items)])

    @property
    def normalised(self) -> np.ndarray:
        """float32 [M, M], the weights of mean 1."""
        return self.matrix * np.float32(self.users / self.weight)


def fit_item_tables(
    counts: np.ndarray,
    weighted: np.ndarray,
    times: np.ndarray,
    dropouts: tuple[float, ...],
    shrinkages: tuple[float, ...],
    penalty: float,
    content: np.ndarray | None = None,
    content_penalty: float = 30.0,
) -> ItemTables:
    """The K tables, EDLAE first, of what users have taken.

    Args:
      counts: float32 [M, M], X^T X.
      weighted: float32 [M, M], G.
      times: int [I], how often each item of the catalogue was taken.
      dropouts: p of each EDLAE table.
      shrinkages: s of each table of neighbours; two more, one of unequal powers
        c_ij / (c_i^.7 c_j^.3 + 30) and one of the weighted counts with s = 30, stand behind them.
      penalty: L.
      content: float32 [M, c], what is known of items beside who took them; None: nothing.
      content_penalty: L2 factor of the regressions on it.
    """
    made = [
        *(partial(edlae, weighted, penalty, p) for p in dropouts),
        *(partial(neighbours, counts, shrinkage) for shrinkage in shrinkages),
        partial(neighbours, counts, _SHRINKAGE, _POWER),
        partial(neighbours, weighted, _SHRINKAGE),
    ]
    M, popularity = len(counts), log_popularity(np.append(times, 0))
    on_content = None
    if content is not None:
        on_content = ContentRegression(times[:M], content, content_penalty)
    width = 0 if content is None else content.shape[1] + 1
    rows, foretold = TableFile(M, len(made), M + width), []
    for place, make in enumerate(made):  # one at a time: together they are large
        table = make()
        if on_content is not None:
            table, of_table = on_content.widened(table)
            foretold.append(of_table)
        rows.write(place, table)
    found = None
    if on_content is not None:
        of_popularity = on_content.foretold(popularity[:M])
        found = ContentColumns(np.stack(foretold, axis=1), of_popularity, on_content.leverage)
    return ItemTables(rows, popularity[:-1], float(popularity[-1]), found)


def log_popularity(times: np.ndarray) -> np.ndarray:
    """float32 [I + 1] of how often each item, and last one beside the catalogue, was taken."""
    logs = np.log1p(times)
    own = logs[:-1]
    return ((logs - own.mean()) / max(own.std(), 1e-6)).astype(np.float32)


def gram(matrix: csr_matrix, weights: np.ndarray | None = None) -> np.ndarray:
    """X^T diag(w) X, float32 [M, M]."""
    left = matrix if weights is None else diags(weights) @ matrix
    return np.asarray((matrix.T @ left).todense(), np.float32)


def edlae(counts: np.ndarray, penalty: float, dropout: float = 0.0) -> np.ndarray:
    """B of a Gram matrix, float32 [M, M]; see above."""
    diagonal = np.diag(counts).astype(np.float64)
    system = counts.astype(np.float64)
    system[np.diag_indices_from(system)] += penalty + _LEAST + dropout / (1 - dropout) * diagonal
    inverse = inv(system, overwrite_a=True, check_finite=False)
    inverse /= -np.diag(inverse)
    table = inverse.astype(np.float32)
    np.fill_diagonal(table, 0.0)
    return table


def neighbours(counts: np.ndarray, shrinkage: float, power: float = 0.5) -> np.ndarray:
    """c_ij / (c_i^power c_j^(1 - power) + s), float32 [M, M]; the diagonal is 0."""
    times = np.maximum(np.diag(counts), _LEAST)
    table = counts / (times[:, None] ** power * times[None, :] ** (1 - power) + shrinkage)
    np.fill_diagonal(table, 0.0)
    return table.astype(np.float32)
