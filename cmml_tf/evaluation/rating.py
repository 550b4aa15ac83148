"""Evaluation in the user setting: predict the query ratings of unseen users (paper section 4.2)."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from cmml_tf.episodes.asked_users import AskedUsers
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.evaluation.task_metrics import TaskMetrics
from cmml_tf.metrics.rating import rating_metrics
from cmml_tf.types import Episode

CUTOFFS = (1, 3)
SUPPORT_LENGTHS = (0, 1, 2, 5, 10, 20, 40)

Predictions = Callable[[Episode], np.ndarray]
"""An `Episode` of arrays to predicted ratings float [B, Q]."""


def evaluate_ratings(
    predictions_of: Predictions, names: Sequence[str] | np.ndarray, episodes: Iterable[Episode]
) -> TaskMetrics:
    """MAE and NDCG of every user.

    Args:
      predictions_of: The system under evaluation; of a `Scorer`, its `predicted_ratings`.
      names: The users' ids, in the order of the tasks.
      episodes: Batches of users, see `AskedUsers`.

    Raises:
      ValueError: A prediction is NaN.
    """
    parts = [
        rating_metrics(predictions_of(episode), episode.query_label, CUTOFFS)
        for episode in episodes
    ]
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return TaskMetrics(names, np.arange(len(names)), rows)


def predicted_ratings(scorer: Scorer) -> Predictions:
    """How a system that adapts predicts: it reads the support, then scores the query."""
    return lambda episode: scorer.score(
        scorer.adapt(episode.support), episode.query_user, episode.query_item
    )


def support_length_curve(
    predictions_of: Predictions, users: AskedUsers, lengths: Sequence[int] = SUPPORT_LENGTHS
) -> dict[int, dict[str, float]]:
    """Mean metrics with only the first ratings of each user's support, by their number."""
    return {
        length: evaluate_ratings(predictions_of, users.names, users.batches(length)).means()
        for length in lengths
    }
