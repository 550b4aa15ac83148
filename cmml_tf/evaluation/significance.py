"""Paired significance over tasks: is one system better than another on the same questions?"""

from collections.abc import Sequence

import numpy as np


def wilcoxon_p(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test for paired values, one pair a task.

    Args:
      a, b: [T], the same tasks; pairs with a NaN are left out, equal ones too.

    Returns:
      1.0 where no pair differs.

    Raises:
      ValueError: The two are not vectors of one length.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            f"`a` and `b` must have one entry a task each. Received: shapes {a.shape}, {b.shape}."
        )
    difference = a - b
    difference = difference[~np.isnan(difference) & (difference != 0)]
    if len(difference) == 0:
        return 1.0
    # Imported here: it takes a second, and the help of commands needs none of it.
    from scipy import stats

    return float(stats.wilcoxon(difference).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979): the share of wrong claims stays below them.

    Example:

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    adjusted, most = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = most
    return adjusted
