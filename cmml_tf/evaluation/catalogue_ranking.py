"""Evaluation in the ranking setting: rank the catalogue for users who are new."""

import numpy as np

from cmml_tf.episodes.asked_newcomers import AskedNewcomers, NewcomerBatch
from cmml_tf.evaluation.ranking import SAMPLED
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.evaluation.task_metrics import TaskMetrics, users_apart
from cmml_tf.metrics.lists import Lists
from cmml_tf.metrics.ranking import metrics_of_ranking
from cmml_tf.metrics.scores import evenly_spaced
from cmml_tf.metrics.tie_groups import sort_in_tie_groups

CUTOFFS = (20, 100)


def evaluate_catalogue(scorer: Scorer, asked: AskedNewcomers) -> TaskMetrics:
    """Recall@20 and NDCG@100 of every task, among all items that are not known.

    Recall is hits divided by min(20, items to be found), as in work on Mult-VAE, so that 1 can be
    reached; the scenario setting divides by all of them.

    Args:
      scorer: The system under evaluation.
      asked: The tasks. Rows are tasks; several of one user are one task of the interval.

    Raises:
      ValueError: A score is NaN.
    """
    found: dict[str, list[np.ndarray]] = {}
    sample: list[np.ndarray] = []
    takers = np.bincount(asked.query_item, minlength=int(asked.items))
    lists = Lists(CUTOFFS[0], takers, len(asked))
    for batch in asked:
        scores = _scores(scorer, batch)
        sample.append(evenly_spaced(scores[~batch.known], SAMPLED))
        # Behind every other score; taken items are never among those that are known.
        scores = np.where(batch.known, -np.inf, scores)
        groups = sort_in_tie_groups(scores)
        lists.add(groups, ~batch.known)
        metrics = metrics_of_ranking(groups, batch.taken, CUTOFFS)
        number = batch.taken.sum(axis=1)
        for k in CUTOFFS:
            metrics[f"recall@{k}"] *= number / np.minimum(number, k)
        for name, values in metrics.items():
            found.setdefault(name, []).append(values)
    rows = {name: np.concatenate(values) for name, values in found.items()}
    names, task = np.unique(asked.names, return_inverse=True)
    parts = users_apart(rows, np.zeros(len(asked), bool))
    return TaskMetrics(names, task, rows, parts, lists.metrics(), np.concatenate(sample))


def scored_catalogue(scorer: Scorer, asked: AskedNewcomers) -> tuple[np.ndarray, np.ndarray]:
    """The scores of all items that are ranked, and 1 for those to be found: float [N] each."""
    scores, taken = [], []
    for batch in asked:
        scores.append(_scores(scorer, batch)[~batch.known])
        taken.append(batch.taken[~batch.known])
    return np.concatenate(scores), np.concatenate(taken).astype(np.float64)


def _scores(scorer: Scorer, batch: NewcomerBatch) -> np.ndarray:
    """float [B, I], of the whole catalogue."""
    tasks, items = batch.taken.shape
    catalogue = np.repeat(np.arange(items, dtype=np.int32)[None], tasks, axis=0)
    user = np.repeat(batch.support.user[:, :1], items, axis=1)
    return scorer.score(scorer.adapt(batch.support), user, catalogue)
