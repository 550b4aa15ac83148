"""Evaluation in the scenario setting: rank all items of unseen scenarios (paper section 4.1)."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from cmml_tf.episodes.evaluation_episodes import EvaluationEpisode
from cmml_tf.evaluation.statistics import PairedDifference, paired_difference
from cmml_tf.metrics.ranking import ranking_metrics
from cmml_tf.models.cmml import CMML
from cmml_tf.types import Support

Scorer = Callable[[EvaluationEpisode], np.ndarray]
"""An episode to the scores float32 [U, I] of its users and candidates."""

_PAIRS_PER_CALL = 8192


@dataclass(frozen=True)
class RankingEvaluation:
    """Metrics of every (scenario, user).

    Attributes:
      names: The T scenarios.
      scenario: int [R], which scenario a row belongs to.
      rows: Metric name to float64 [R].
    """

    names: tuple[str, ...]
    scenario: np.ndarray
    rows: dict[str, np.ndarray]

    def means(self) -> dict[str, float]:
        """Each metric's mean over all (scenario, user), as the paper reports it."""
        return {name: float(np.nanmean(values)) for name, values in self.rows.items()}

    def half_widths(self) -> dict[str, float]:
        """Half of each mean's 95% interval, over scenarios: rows of one are not independent."""
        zeros = np.zeros(len(self.scenario))
        return {
            name: paired_difference(values, zeros, self.scenario).half_width
            for name, values in self.rows.items()
        }

    def scenario_table(self) -> pd.DataFrame:
        """One line a scenario: its name, number of users, and its mean of each metric."""
        frame = pd.DataFrame({"scenario": self.scenario, **self.rows})
        grouped = frame.groupby("scenario")
        table = grouped.mean()
        table.insert(0, "users", grouped.size())
        table.insert(0, "name", [self.names[place] for place in table.index])
        return table.reset_index(drop=True)

    def gain_over(self, other: "RankingEvaluation", metric: str) -> PairedDifference:
        """This evaluation minus another of the same rows, with its interval over scenarios."""
        return paired_difference(self.rows[metric], other.rows[metric], self.scenario)


def evaluate_ranking(scorer: Scorer, episodes: Iterable[EvaluationEpisode]) -> RankingEvaluation:
    """Ranks all candidates for every user of every episode.

    Args:
      scorer: The system under evaluation.
      episodes: `EvaluationEpisodes`, or its `swapped()`.

    Raises:
      ValueError: A score is NaN.
    """
    names, scenario, parts = [], [], []
    for place, episode in enumerate(episodes):
        names.append(episode.name)
        scenario.append(np.full(len(episode.users), place))
        parts.append(ranking_metrics(scorer(episode), episode.relevant))
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return RankingEvaluation(tuple(names), np.concatenate(scenario), rows)


class AdaptingScorer:
    """Scores with a model that adapts once a scenario, then all pairs in few graph calls.

    Args:
      adapt: `Support` of one task to what the model has adapted to, any nest of tensors, `()`
        from a model that does not adapt. Reads the model's weights anew at each call.
      score: (that, query users int32 [1, Q], query items [1, Q]) to scores float32 [1, Q].
    """

    def __init__(
        self,
        adapt: Callable[[Support], Any],
        score: Callable[[Any, tf.Tensor, tf.Tensor], tf.Tensor],
    ) -> None:
        ids = tf.TensorSpec([1, None], tf.int32)
        support = Support(ids, ids, tf.TensorSpec([1, None]), tf.TensorSpec([1], tf.int32))
        self._adapt = tf.function(adapt, input_signature=[support])
        adapted = self._adapt.get_concrete_function().structured_outputs
        spec = tf.nest.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), adapted)
        self._score = tf.function(score, input_signature=[spec, ids, ids])

    def adapt(self, support: Support) -> Any:
        """What the model has adapted to after reading a support set ([1, S], as arrays)."""
        return self._adapt(Support(*map(tf.constant, support)))

    def score(self, adapted: Any, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float32 [N], scores of the N pairs (users[n], items[n])."""
        return self._score(adapted, tf.constant(users[None]), tf.constant(items[None])).numpy()[0]

    def __call__(self, episode: EvaluationEpisode) -> np.ndarray:
        """float32 [U, I]."""
        adapted = self.adapt(episode.support)
        candidates = len(episode.candidates)
        users_per_call = math.ceil(_PAIRS_PER_CALL / candidates)
        scores = []
        for first in range(0, len(episode.users), users_per_call):
            users = episode.users[first : first + users_per_call]
            flat = self.score(
                adapted, np.repeat(users, candidates), np.tile(episode.candidates, len(users))
            )
            scores.append(flat.reshape(len(users), candidates))
        return np.concatenate(scores)


class ContextScorer(AdaptingScorer):
    """Scores with a CMML model: one context a scenario.

    Args:
      model: The model; its current weights are read at each call.
    """

    def __init__(self, model: CMML) -> None:
        super().__init__(model.encode_context, model.score_with_context)
