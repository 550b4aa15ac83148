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
"""

from typing import NamedTuple

import numpy as np

from cmml_tf.embeddings.conditional_factors import known_weight, with_constant


class ContentColumns(NamedTuple):
    """Regressions of K tables and of popularity on content.

    Attributes:
      columns: float32 [M, K, c + 1], A of each table.
      rows: float32 [c + 1, K, M + c + 1], R of each.
      popularity: float32 [c + 1], content to popularity.
      leverage: float32 [M], h.
    """

    columns: np.ndarray
    rows: np.ndarray
    popularity: np.ndarray
    leverage: np.ndarray


def content_columns(
    tables: np.ndarray,
    popularity: np.ndarray,
    times: np.ndarray,
    content: np.ndarray,
    penalty: float,
) -> ContentColumns:
    """The regressions.

    Args:
      tables: float32 [M, K, M].
      popularity: float32 [M].
      times: int [M], how often each item was taken.
      content: float32 [M, c].
      penalty: l.
    """
    x = with_constant(content)
    weighted = x * known_weight(times)[:, None]
    solution = np.linalg.solve(weighted.T @ x + penalty * np.eye(x.shape[1]), weighted.T)
    columns = np.einsum("ikj,cj->ikc", tables, solution.astype(np.float32), optimize=True)
    whole = np.concatenate([tables, columns], axis=2)
    rows = solution.astype(np.float32) @ whole.reshape(len(tables), -1)
    return ContentColumns(
        columns,
        rows.reshape(len(solution), *whole.shape[1:]),
        (solution @ popularity).astype(np.float32),
        np.minimum(np.einsum("cj,jc->j", solution, x), 0.99).astype(np.float32),
    )


def foretell_untaken(
    tables: np.ndarray,
    popularity: np.ndarray,
    times: np.ndarray,
    content: np.ndarray,
    found: ContentColumns,
) -> None:
    """Gives items in the tables that nobody has taken the rows, columns and popularity foretold.

    Such are items of a run that is continued, which keep their places, and those that only users of
    a fold have taken.

    Args:
      tables, popularity: As of `content_columns`; changed in place.
      times, content: As of `content_columns`.
      found: The regressions.
    """
    never = np.flatnonzero(times == 0)
    x = with_constant(content[never]).astype(np.float32)
    tables[:, :, never] = np.einsum("ikc,jc->ikj", found.columns, x, optimize=True)
    tables[never] = np.tensordot(x, found.rows[:, :, : tables.shape[2]], axes=1)
    popularity[never] = x @ found.popularity
