"""Scores of an adapting model, whichever it is, for evaluation."""

import tensorflow as tf

from cmml_tf.evaluation.ranking_protocol import AdaptingScorer, ContextScorer
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.models.cmml import CMML


class AdaptedScorer(AdaptingScorer):
    """Scores with a model that adapts: once a scenario, then all pairs in few graph calls.

    Args:
      model: The model; its current weights are read at each call.
    """

    def __init__(self, model: AdaptingModel) -> None:
        super().__init__(model.adapt, model.score_adapted)


def model_scorer(model: tf.keras.Model) -> AdaptingScorer:
    """How a model scores: a CMML with a context, an `AdaptingModel` with what it adapted to."""
    return ContextScorer(model) if isinstance(model, CMML) else AdaptedScorer(model)
