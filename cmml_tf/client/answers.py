"""What calls return."""

from typing import NamedTuple

import numpy as np

Rows = np.ndarray | list[np.ndarray]
"""One task asked as flat lists: an array. Several tasks: a list with an array for each."""


class Scores(NamedTuple):
    """Scores of query pairs.

    Attributes:
      score: float32 [Q] for each task, Q its own number of pairs.
      query_known: bool [Q] for each task: both ids are in the model's vocabularies.
      version: Version of the model that answered.
      user_known, item_known: bool [Q] for each task: the user, the item is in its vocabulary. None
        where the export is of an earlier release, which does not say.
      score_median: float32 [Q] for each task, the median where `score` is the mean of a
        distribution of ratings; None where the model knows no distribution.
      score_low, score_high: float32 [Q] for each task, the rating is at least, and at most, this
        with a probability of 0.9 each; None likewise.
    """

    score: Rows
    query_known: Rows
    version: int
    user_known: Rows | None = None
    item_known: Rows | None = None
    score_median: Rows | None = None
    score_low: Rows | None = None
    score_high: Rows | None = None


class Contexts(NamedTuple):
    """Encoded supports, to be scored by the version that encoded them.

    Attributes:
      context: float32 [B, D]; where D grows with the support, that of the largest.
      support_known: int32 [B], support pairs with both ids known.
      version: Version of the model that encoded them.
      single: One task was given as flat lists, so scores come back as flat arrays.
    """

    context: np.ndarray
    support_known: np.ndarray
    version: int
    single: bool = False


class Recommendations(NamedTuple):
    """The best items of the catalogue, best first.

    Attributes:
      item_id: str or int64 [K] for each task.
      score: float32 [K] for each task.
      version: Version of the model that answered.
    """

    item_id: Rows
    score: Rows
    version: int


class Explanations(NamedTuple):
    """Scores and what modulated them.

    Attributes:
      score: float32 [Q] for each task.
      details: The other outputs by name, an array for each task: float32 [D] for `context`, [Q, H]
        for `scale_l` and `shift_l` of layer l.
      version: Version of the model that answered.
    """

    score: Rows
    details: dict[str, Rows]
    version: int


class FeatureScores(NamedTuple):
    """Scores of items that were described by their features (user setting).

    Attributes:
      score: float32 [Q] for each task.
      context: float32 [D] for each task, what was encoded of its support.
      version: Version of the model that answered.
    """

    score: Rows
    context: Rows
    version: int


class ExampleScores(NamedTuple):
    """Scores of the Regress API.

    Attributes:
      score: float32 [N], one an Example.
      version: Version of the model that answered.
    """

    score: np.ndarray
    version: int
