"""What scores are worth: what was there, on average, where a system gave scores of one height."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.types import Episode

_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Pairs in order of their scores, in parts of equal size.

    Attributes:
      score: float [n], the mean score of each part, ascending.
      label: float [n], the mean of what was there: the share taken, or the rating.
      pairs: int [n].
      error: Mean distance of both over all pairs; None where a score is not meant to be a label.
    """

    score: np.ndarray
    label: np.ndarray
    pairs: np.ndarray
    error: float | None

    @classmethod
    def of(
        cls, score: np.ndarray, label: np.ndarray, predicts_labels: bool = False, bins: int = _BINS
    ) -> "Calibration":
        """Divides pairs; equal scores stay together.

        Args:
          score, label: float [N].
          predicts_labels: Whether a score is meant to be the label.
          bins: Parts at the most.

        Example:

        >>> found = Calibration.of(np.array([1.0, 2, 3, 4]), np.array([1.0, 1, 3, 5]), True, bins=2)
        >>> found.score.tolist(), found.label.tolist(), found.error
        ([1.5, 3.5], [1.0, 4.0], 0.5)
        """
        order = np.argsort(score, kind="stable")
        score, label = score[order].astype(np.float64), label[order].astype(np.float64)
        wanted = np.arange(1, bins) * len(score) // bins
        first = np.unique([0, *np.searchsorted(score, score[wanted], side="left")])
        pairs = np.diff([*first, len(score)])
        mean_score, mean_label = (np.add.reduceat(one, first) / pairs for one in (score, label))
        distance = float(np.abs(mean_score - mean_label) @ pairs / len(score))
        return cls(mean_score, mean_label, pairs, distance if predicts_labels else None)

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        rows = zip(self.score.tolist(), self.label.tolist(), self.pairs.tolist(), strict=True)
        bins = [{"score": score, "label": label, "pairs": pairs} for score, label, pairs in rows]
        return {"bins": bins, "error": self.error}

    def table(self) -> str:
        """For people."""
        error = "" if self.error is None else f", mean distance {self.error:.4f}"
        parts = (("score", self.score), ("there was", self.label))
        lines = [f"calibration, {len(self.pairs)} parts by score{error}:"]
        lines += [f"{name:>12}" + "".join(f"{one:>9.4f}" for one in row) for name, row in parts]
        return "\n".join(lines)


def scored_episodes(scorer: Scorer, episodes: Iterable[Episode]) -> tuple[np.ndarray, np.ndarray]:
    """The scores of all query pairs, and their labels: float [N] each."""
    scores, labels = [], []
    for episode in episodes:
        adapted = scorer.adapt(episode.support)
        scores.append(scorer.score(adapted, episode.query_user, episode.query_item).ravel())
        labels.append(episode.query_label.ravel())
    return np.concatenate(scores), np.concatenate(labels)
