"""Evaluation of any model that adapts and then scores: gradient-based baselines among others."""

from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.episodes.evaluation_episodes import EvaluationEpisode
from cmml_tf.evaluation.ranking_protocol import score_candidates
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.types import Support


class AdaptedScorer:
    """Adapts once a scenario, then scores all pairs in few graph calls.

    Args:
      model: The model; its current weights are read at each call.
    """

    def __init__(self, model: AdaptingModel) -> None:
        self._adapt = tf.function(model.adapt, reduce_retracing=True)
        self._score = tf.function(model.score_adapted, reduce_retracing=True)

    def __call__(self, episode: EvaluationEpisode) -> np.ndarray:
        """float32 [U, I]."""
        adapted = self.adapt(episode)
        return score_candidates(lambda *pairs: self._score(adapted, *pairs), episode)

    def adapt(self, episode: EvaluationEpisode) -> Any:
        """What the model becomes for the scenario: nested tensors [1, ...]."""
        return self._adapt(Support(*map(tf.constant, episode.support)))
