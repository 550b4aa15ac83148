"""Evaluation in the scenario setting: rank all items of unseen scenarios (paper section 4.1)."""

from collections.abc import Callable, Iterable

import numpy as np

from cmml_tf.episodes.asked.evaluation_episodes import EvaluationEpisode
from cmml_tf.evaluation.scorer import Scorer, grid_of
from cmml_tf.evaluation.task_metrics import KNOWN_ITEMS, UNKNOWN_ITEMS, TaskMetrics, users_apart
from cmml_tf.metrics.inputs import as_mask, as_matrix
from cmml_tf.metrics.lists import Lists, mean_lists
from cmml_tf.metrics.ranking import metrics_of_ranking
from cmml_tf.metrics.scores import evenly_spaced
from cmml_tf.metrics.tie_groups import TieGroups, sort_in_tie_groups

CandidateScores = Callable[[EvaluationEpisode], np.ndarray]
"""An episode to the scores float [U, I] of its users and candidates."""

LISTED = 10
"""Items of a list of recommendations."""
SAMPLED = 2000
"""Scores of a scenario, or a batch of users, that are kept for their distribution."""


def evaluate_ranking(
    scores_of: CandidateScores, episodes: Iterable[EvaluationEpisode]
) -> TaskMetrics:
    """Ranks all candidates for every user of every episode.

    What the first `LISTED` hold is averaged over scenarios (`Lists`).
    Users and items that the embeddings know, and others, are parts of the result. In the part of
    an item kind only items of that kind are to be found; what is ranked is the same.

    Args:
      scores_of: The system under evaluation; of a `Scorer`, its `candidate_scores`.
      episodes: `EvaluationEpisodes`.

    Raises:
      ValueError: A score is NaN.
    """
    names, scenario, known, ranked, lists, sample = [], [], [], [], [], []
    for place, episode in enumerate(episodes):
        names.append(episode.name)
        scenario.append(np.full(len(episode.users), place))
        known.append(episode.user_known)
        scores = as_matrix("scores", scores_of(episode))
        sample.append(evenly_spaced(scores, SAMPLED))
        groups = sort_in_tie_groups(scores)
        ranked.append(_ranked(groups, episode))
        listed = Lists(LISTED, episode.relevant.sum(axis=0), len(episode.users))
        listed.add(groups)
        lists.append(listed.metrics())
    rows, with_known, with_unknown = (_joined(part) for part in zip(*ranked, strict=True))
    parts = users_apart(rows, np.concatenate(known))
    parts |= {KNOWN_ITEMS: with_known, UNKNOWN_ITEMS: with_unknown}
    return TaskMetrics(
        tuple(names),
        np.concatenate(scenario),
        rows,
        parts,
        mean_lists(lists),
        np.concatenate(sample),
    )


def _ranked(groups: TieGroups, episode: EvaluationEpisode) -> list[dict[str, np.ndarray]]:
    """The metrics of all relevant items, of the known and of the unknown ones."""
    relevant = as_mask("relevant", episode.relevant, groups.order.shape)
    whole = metrics_of_ranking(groups, relevant)
    asked = relevant.any(axis=0)
    parts = []
    for items in (episode.candidate_known, ~episode.candidate_known):
        if items[asked].all():
            parts.append(whole)
        elif not items[asked].any():
            parts.append({name: np.full(len(relevant), np.nan) for name in whole})
        else:
            parts.append(metrics_of_ranking(groups, relevant & items))
    return [whole, *parts]


def _joined(parts: Iterable[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    parts = list(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def scored_candidates(
    scores_of: CandidateScores, episodes: Iterable[EvaluationEpisode]
) -> tuple[np.ndarray, np.ndarray]:
    """The scores of all users' candidates, and 1 for those to be found: float [N] each."""
    pairs = [(scores_of(episode).ravel(), episode.relevant.ravel()) for episode in episodes]
    scores, relevant = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return scores, relevant.astype(np.float64)


def candidate_scores(scorer: Scorer) -> CandidateScores:
    """How a system that adapts ranks: it reads the support once, then scores every pair."""
    return lambda episode: grid_of(
        scorer, scorer.adapt(episode.support), episode.users, episode.candidates
    )
