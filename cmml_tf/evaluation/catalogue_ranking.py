"""Evaluation in the ranking setting: rank the catalogue for users who are new."""

from collections.abc import Sequence

import numpy as np

from cmml_tf.episodes.asked.asked_newcomers import AskedNewcomers, NewcomerBatch
from cmml_tf.evaluation.ranking import SAMPLED
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.evaluation.task_metrics import KNOWN_ITEMS, UNKNOWN_ITEMS, TaskMetrics, users_apart
from cmml_tf.metrics.lists import Lists
from cmml_tf.metrics.ranking import metrics_of_ranking
from cmml_tf.metrics.scores import evenly_spaced
from cmml_tf.metrics.tie_groups import TieGroups, best_in_tie_groups

CUTOFFS = (20, 100)


def evaluate_catalogue(scorer: Scorer, asked: AskedNewcomers) -> TaskMetrics:
    """Recall@20 and NDCG@100 of every task, among all items that are not known.

    Recall is hits divided by min(20, items to be found), as in work on Mult-VAE, so that 1 can be
    reached; the scenario setting divides by all of them. Where items that nobody has taken are to
    be found, those and the others are parts of the result; what is ranked is the same.

    Args:
      scorer: The system under evaluation.
      asked: The tasks. Rows are tasks; several of one user are one task of the interval.

    Raises:
      ValueError: A score is NaN.
    """
    found: list[list[dict[str, np.ndarray]]] = []
    known = asked.item_known
    told_apart = not known[asked.query_item].all()
    sample: list[np.ndarray] = []
    takers = np.bincount(asked.query_item, minlength=asked.items)
    lists = Lists(CUTOFFS[0], takers, len(asked))
    for batch in asked:
        scores = _scores(scorer, batch)
        sample.append(evenly_spaced(scores[~batch.known], SAMPLED))
        # Behind every other score; taken items are never among those that are known.
        scores = np.where(batch.known, -np.inf, scores)
        groups = best_in_tie_groups(scores, CUTOFFS[-1])
        lists.add(groups, ~batch.known)
        kinds = [batch.taken, batch.taken & known, batch.taken & ~known]
        found.append([_metrics(groups, kind) for kind in kinds[: 3 if told_apart else 1]])
    rows, *of_items = (_joined(kind) for kind in zip(*found, strict=True))
    names, task = np.unique(asked.names, return_inverse=True)
    parts = users_apart(rows, np.zeros(len(asked), bool))
    parts |= dict(zip((KNOWN_ITEMS, UNKNOWN_ITEMS), of_items, strict=False))
    return TaskMetrics(names, task, rows, parts, lists.metrics(), np.concatenate(sample))


def _metrics(groups: TieGroups, taken: np.ndarray) -> dict[str, np.ndarray]:
    """Of each row float64 [R]; NaN where there is nothing to find."""
    metrics = metrics_of_ranking(groups, taken, CUTOFFS)
    metrics.pop("mrr", None)  # of catalogues that are no longer than a list
    number = taken.sum(axis=1)
    for k in CUTOFFS:
        metrics[f"recall@{k}"] *= number / np.maximum(np.minimum(number, k), 1)
    return metrics


def _joined(batches: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


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
