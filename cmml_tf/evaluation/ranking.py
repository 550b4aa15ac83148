"""Evaluation in the scenario setting: rank all items of unseen scenarios (paper section 4.1)."""

import math
from collections.abc import Callable, Iterable

import numpy as np

from cmml_tf.episodes.evaluation_episodes import EvaluationEpisode
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.evaluation.task_metrics import TaskMetrics
from cmml_tf.metrics.ranking import ranking_metrics

CandidateScores = Callable[[EvaluationEpisode], np.ndarray]
"""An episode to the scores float [U, I] of its users and candidates."""

_PAIRS_PER_CALL = 8192


def evaluate_ranking(
    scores_of: CandidateScores, episodes: Iterable[EvaluationEpisode]
) -> TaskMetrics:
    """Ranks all candidates for every user of every episode.

    Args:
      scores_of: The system under evaluation; of a `Scorer`, its `candidate_scores`.
      episodes: `EvaluationEpisodes`, or its `swapped()`.

    Raises:
      ValueError: A score is NaN.
    """
    names, scenario, parts = [], [], []
    for place, episode in enumerate(episodes):
        names.append(episode.name)
        scenario.append(np.full(len(episode.users), place))
        parts.append(ranking_metrics(scores_of(episode), episode.relevant))
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return TaskMetrics(tuple(names), np.concatenate(scenario), rows)


def candidate_scores(scorer: Scorer) -> CandidateScores:
    """How a system that adapts ranks: it reads the support once, then scores every pair."""

    def scores_of(episode: EvaluationEpisode) -> np.ndarray:
        adapted = scorer.adapt(episode.support)
        candidates = len(episode.candidates)
        users_per_call = math.ceil(_PAIRS_PER_CALL / candidates)
        scores = []
        for first in range(0, len(episode.users), users_per_call):
            users = episode.users[first : first + users_per_call]
            flat = scorer.score(
                adapted,
                np.repeat(users, candidates)[None],
                np.tile(episode.candidates, len(users))[None],
            )
            scores.append(flat.reshape(len(users), candidates))
        return np.concatenate(scores)

    return scores_of
