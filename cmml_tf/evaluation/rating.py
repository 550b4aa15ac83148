"""Evaluation in the user setting: predict the query ratings of unseen users (paper section 4.2)."""

from collections.abc import Callable, Mapping

import numpy as np

from cmml_tf.episodes.asked.asked_users import AskedUsers
from cmml_tf.evaluation.scorer import Scorer, answers_of
from cmml_tf.evaluation.task_metrics import KNOWN_ITEMS, UNKNOWN_ITEMS, TaskMetrics, users_apart
from cmml_tf.metrics.rating import interval_metrics, rating_metrics
from cmml_tf.metrics.scores import evenly_spaced
from cmml_tf.types import Episode

CUTOFFS = (1, 3)
_SAMPLED = 20_000

Predictions = Callable[[Episode], Mapping[str, np.ndarray]]
"""An `Episode` of arrays to what is said of its query, float [B, Q] each: `score`, the predicted
rating; of a system that knows more, `score_median`, `score_low` and `score_high` as well."""


def evaluate_ratings(predictions_of: Predictions, asked: AskedUsers) -> TaskMetrics:
    """MAE and NDCG of every user.

    `mae` and `ndcg@k` are those of `score`; `mae_median` is that of `score_median`, or of `score`
    where it is the only answer; `mae_rounded` that of `score` at the nearest rating that is given
    at all. Where there is an interval, `covered` is the share of ratings inside, its ends
    included, and `interval_width` its mean width. Ratings of items that were learned from, and of
    others, are parts of the result.

    Args:
      predictions_of: The system under evaluation; of a `Scorer`, its `predicted_ratings`.
      asked: The users.

    Raises:
      ValueError: A prediction is NaN.
    """
    episodes = asked.batches()
    answers = [predictions_of(episode) for episode in episodes]
    said = {name: np.concatenate([one[name] for one in answers]) for name in answers[0]}
    rating = np.concatenate([episode.query_label for episode in episodes])
    levels = np.unique(asked.rating)
    rows = _metrics(said, rating, levels)
    known = asked.query_item_known
    parts = users_apart(rows, np.zeros(len(asked), bool))
    for name, inside in ((KNOWN_ITEMS, known), (UNKNOWN_ITEMS, ~known)):
        parts[name] = rows if inside.all() else _metrics(said, rating, levels, inside)
    sample = evenly_spaced(said["score"], _SAMPLED)
    return TaskMetrics(asked.names, np.arange(len(asked)), rows, parts, scores=sample)


def predicted_ratings(scorer: Scorer) -> Predictions:
    """How a system that adapts predicts: it reads the support, then scores the query."""
    return lambda episode: answers_of(
        scorer, scorer.adapt(episode.support), episode.query_user, episode.query_item
    )


def _metrics(
    said: Mapping[str, np.ndarray],
    rating: np.ndarray,
    levels: np.ndarray,
    valid: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    score = said["score"]
    rows = rating_metrics(score, rating, CUTOFFS, valid)
    above = np.clip(np.searchsorted(levels, score), 1, max(len(levels) - 1, 1))
    low, high = levels[above - 1], levels[np.minimum(above, len(levels) - 1)]
    rounded = np.where(score - low < high - score, low, high)
    others = {"mae_median": said.get("score_median", score), "mae_rounded": rounded}
    rows |= {name: rating_metrics(one, rating, (), valid)["mae"] for name, one in others.items()}
    if "score_low" in said:
        rows |= interval_metrics(said["score_low"], said["score_high"], rating, valid)
    return rows
