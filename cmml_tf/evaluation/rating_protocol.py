"""Evaluation in the user setting: predict the query ratings of unseen users (paper section 4.2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from cmml_tf.datasets.rating_tasks import RatingTasks
from cmml_tf.episodes.rating_episodes import evaluation_batches
from cmml_tf.evaluation.statistics import PairedDifference, paired_difference
from cmml_tf.metrics.rating import rating_metrics
from cmml_tf.models.cmml import CMML
from cmml_tf.types import Episode, Support

CUTOFFS = (1, 3)
SUPPORT_LENGTHS = (0, 1, 2, 5, 10, 20, 40)

Predictor = Callable[[Episode], np.ndarray]
"""An `Episode` of arrays to predicted ratings float [B, Q]."""


@dataclass(frozen=True)
class RatingEvaluation:
    """Metrics of every user.

    Attributes:
      rows: `mae`, `ndcg@1` and `ndcg@3` to float64 [T].
    """

    rows: dict[str, np.ndarray]

    def means(self) -> dict[str, float]:
        """Each metric's mean over users, as the paper reports it."""
        return {name: float(np.nanmean(values)) for name, values in self.rows.items()}

    def difference(self, other: "RatingEvaluation", metric: str) -> PairedDifference:
        """This minus another evaluation of the same users, with its interval over users."""
        values = self.rows[metric]
        return paired_difference(values, other.rows[metric], np.arange(len(values)))


def evaluate_ratings(predictor: Predictor, episodes: Sequence[Episode]) -> RatingEvaluation:
    """MAE and NDCG of every task.

    Raises:
      ValueError: A prediction is NaN.
    """
    parts = [
        rating_metrics(predictor(episode), episode.query_label, CUTOFFS) for episode in episodes
    ]
    return RatingEvaluation({name: np.concatenate([p[name] for p in parts]) for name in parts[0]})


def swapped(episodes: Sequence[Episode]) -> list[Episode]:
    """The same questions with another user's support ratings: those of the task before.

    The user profile stays the own one, on both sides: only the ratings are another's.
    """
    supports = [np.concatenate(field) for field in zip(*(e.support for e in episodes), strict=True)]
    user, item, label, length = (np.roll(array, 1, axis=0) for array in supports)
    own_user = supports[0]
    del user
    first, changed = 0, []
    for episode in episodes:
        part = slice(first, first + len(episode.query_item))
        support = Support(own_user[part], item[part], label[part], length[part])
        changed.append(episode._replace(support=support))
        first = part.stop
    return changed


def support_length_curve(
    predictor: Predictor,
    tasks: RatingTasks,
    query: int,
    lengths: Sequence[int] = SUPPORT_LENGTHS,
) -> dict[int, dict[str, float]]:
    """Mean metrics with only the first ratings of each user's support, by their number."""
    return {
        length: evaluate_ratings(predictor, evaluation_batches(tasks, query, length)).means()
        for length in lengths
    }


class RatingPredictor:
    """Predicts with a CMML model, its current weights.

    Args:
      model: The model.
    """

    def __init__(self, model: CMML) -> None:
        ids = tf.TensorSpec([None, None], tf.int32)
        numbers = tf.TensorSpec([None, None], tf.float32)
        support = Support(ids, ids, numbers, tf.TensorSpec([None], tf.int32))
        self._predict = tf.function(
            model.call, input_signature=[Episode(support, ids, ids, numbers)]
        )

    def __call__(self, episode: Episode) -> np.ndarray:
        """float32 [B, Q]."""
        return self._predict(tf.nest.map_structure(tf.constant, episode)).numpy()
