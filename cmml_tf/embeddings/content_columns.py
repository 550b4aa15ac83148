"""What item-item tables say of an item that is in none of them: foretold from its content.

A column of a table is what all items say of one. With x_j = [content, 1] of the M items in the
tables, the weights w_j of how well each is known and G = X^T diag(w) X + l I, ridge regressions on
content (the same that foretells factors, `conditional_factors`) give

- of a table B [M, M] the columns A = B diag(w) X G^-1 [M, c + 1]: an item of content x has the
  column A x;
- the rows R = G^-1 X^T diag(w) [B, A]: an item of content x has the row x R.

Of item j itself the foretold column knows the true one b_j. Without it it would be

  (A x_j - h_j b_j) / (1 - h_j),   h_j = w_j x_j^T G^-1 x_j,

so that training can meet an item as if nobody had taken it, without another regression.

Items in the tables that nobody has taken get the rows, columns and popularity foretold. Such are
items of a run that is continued, which keep their places, and those that only users of a fold have
taken.
"""

from typing import NamedTuple

import numpy as np

from cmml_tf.embeddings.conditional_factors import known_weight, with_constant


class ContentColumns(NamedTuple):
    """Regressions of K tables and of popularity on content.

    Attributes:
      rows: float32 [c + 1, K, M + c + 1], R of each.
      popularity: float32 [c + 1], content to popularity.
      leverage: float32 [M], h.
    """

    rows: np.ndarray
    popularity: np.ndarray
    leverage: np.ndarray


class ContentRegression:
    """The regressions of some items.

    Args:
      times: int [M], how often each item was taken.
      content: float32 [M, c].
      penalty: l.
    """

    def __init__(self, times: np.ndarray, content: np.ndarray, penalty: float) -> None:
        x = with_constant(content)
        weighted = x * known_weight(times)[:, None]
        solution = np.linalg.solve(weighted.T @ x + penalty * np.eye(x.shape[1]), weighted.T)
        self.leverage = np.minimum(np.einsum("cj,jc->j", solution, x), 0.99).astype(np.float32)
        self._solution = solution.astype(np.float32)
        self._never = np.flatnonzero(times == 0)
        self._of_never = x[self._never].astype(np.float32)

    def widened(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """B, float32 [M, M] -> [B, A], untaken items foretold, [M, M + c + 1]; and R."""
        columns = table @ self._solution.T
        whole = np.concatenate([table, columns], axis=1)
        rows = self._solution @ whole
        whole[:, self._never] = columns @ self._of_never.T
        whole[self._never, : len(table)] = self._of_never @ rows[:, : len(table)]
        return whole, rows

    def foretold(self, popularity: np.ndarray) -> np.ndarray:
        """Content to popularity, float32 [c + 1]; that of untaken items is changed in place.

        Args:
          popularity: float32 [M].
        """
        found = self._solution @ popularity
        popularity[self._never] = self._of_never @ found
        return found
