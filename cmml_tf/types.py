"""Shapes and structures that every part shares.

Shape letters, everywhere the same: B tasks, S support pairs, Q query pairs, d pair embedding,
D context, H hidden units, M modules of a layer, L layers.
"""

from typing import Any, NamedTuple

import numpy as np

Array = Any
"""A NumPy array or a TensorFlow tensor; the fields below say dtype and shape."""


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


class Episode(NamedTuple):
    """B tasks: what each adapts to, and what it is then asked.

    In the scenario setting the first half of the query are positives and the second half their
    negatives, pair k against pair Q/2 + k (equation 4).

    Attributes:
      support: `Support` of the B tasks.
      query_user: int32 [B, Q].
      query_item: int32 [B, Q].
      query_label: float32 [B, Q].
    """

    support: Support
    query_user: Array
    query_item: Array
    query_label: Array


def lengths_mask(length: np.ndarray, size: int) -> np.ndarray:
    """bool [B, size]: which of `size` positions lie before each length [B]."""
    return np.arange(size)[None, :] < np.asarray(length)[:, None]
