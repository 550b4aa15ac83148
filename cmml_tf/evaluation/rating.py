"""Evaluation in the user setting: predict the query ratings of unseen users (paper section 4.2)."""

from collections.abc import Callable

import numpy as np

from cmml_tf.episodes.asked_users import AskedUsers
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.evaluation.task_metrics import KNOWN_ITEMS, UNKNOWN_ITEMS, TaskMetrics, users_apart
from cmml_tf.metrics.rating import rating_metrics
from cmml_tf.types import Episode

CUTOFFS = (1, 3)

Predictions = Callable[[Episode], np.ndarray]
"""An `Episode` of arrays to predicted ratings float [B, Q]."""


def evaluate_ratings(predictions_of: Predictions, asked: AskedUsers) -> TaskMetrics:
    """MAE and NDCG of every user.

    Ratings of items that were learned from, and of others, are parts of the result.

    Args:
      predictions_of: The system under evaluation; of a `Scorer`, its `predicted_ratings`.
      asked: The users.

    Raises:
      ValueError: A prediction is NaN.
    """
    episodes = asked.batches()
    predicted = np.concatenate([predictions_of(episode) for episode in episodes])
    rating = np.concatenate([episode.query_label for episode in episodes])
    rows = rating_metrics(predicted, rating, CUTOFFS)
    known = asked.query_item_known
    parts = users_apart(rows, np.zeros(len(asked), bool))
    for name, inside in ((KNOWN_ITEMS, known), (UNKNOWN_ITEMS, ~known)):
        parts[name] = (
            rows if inside.all() else rating_metrics(predicted, rating, CUTOFFS, valid=inside)
        )
    return TaskMetrics(asked.names, np.arange(len(asked)), rows, parts)


def predicted_ratings(scorer: Scorer) -> Predictions:
    """How a system that adapts predicts: it reads the support, then scores the query."""
    return lambda episode: scorer.score(
        scorer.adapt(episode.support), episode.query_user, episode.query_item
    )
