"""How far what a model meets in service is from what it was evaluated on.

Two things are looked at: the share of ids that the model does not know, and the distribution of its
scores. Neither says that a model is worse; both say that it meets something else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_MOST_PSI, _MOST_UNKNOWN = 0.25, 0.1
# The .99 quantile of chi squared with 9 degrees of freedom, one less than a summary has bins.
_CHI_SQUARED = 21.67


def stability_index(quantiles: Sequence[float], scores: np.ndarray) -> float:
    """The population stability index of scores between the quantiles of others.

      PSI = sum over bins (o - e) ln(o / e)

    with e = 1 / bins and o the share of the scores in a bin, half a score where there is none.
    A score on a bound that several quantiles share is spread evenly over the bins around it. The
    usual reading: below .1 the same, above .25 another distribution.

    Args:
      quantiles: Bounds of bins of equal shares, ascending; what lies outside is in the outer bins.
      scores: float [N], N > 0.
    """
    inner = np.asarray(quantiles, np.float64)[1:-1]
    scores = np.asarray(scores, np.float64)
    low, high = (np.searchsorted(inner, scores, side) for side in ("left", "right"))
    bins = len(inner) + 1
    counts = np.zeros(bins)
    for first, last in zip(*np.unique([low, high], axis=1), strict=True):
        together = np.sum((low == first) & (high == last))
        counts[first : last + 1] += together / (last - first + 1)
    observed = np.maximum(counts, 0.5) / len(scores)
    return float(np.sum((observed - 1 / bins) * np.log(observed * bins)))


@dataclass(frozen=True)
class Drift:
    """What was served beside what was evaluated.

    Attributes:
      rows: Scores that were served.
      stability_index: Of their distribution; None: the manifest has none.
      unknown: Side (`user`, `item`) to the share of served pairs whose id is unknown.
      expected: The same of the evaluation.
    """

    rows: int
    stability_index: float | None
    unknown: Mapping[str, float]
    expected: Mapping[str, float]

    @property
    def found(self) -> list[str]:
        """What has drifted, a sentence each; empty: nothing has.

        A stability index counts above .25, and where it is more than few scores give by chance.
        """
        said = []
        psi = self.stability_index
        if psi is not None and psi > max(_MOST_PSI, _CHI_SQUARED / self.rows):
            said.append(f"scores are distributed otherwise (stability index {psi:.2f})")
        for side, share in self.unknown.items():
            expected = self.expected.get(side)
            if expected is not None and share - expected > _MOST_UNKNOWN:
                said.append(f"{share:.0%} of the {side}s are unknown, {expected:.0%} were")
        return said

    @property
    def sentence(self) -> str:
        """The verdict."""
        if self.found:
            return f"Drift: {'; '.join(self.found)}."
        return f"No drift found in {self.rows:,} scores."

    def table(self) -> str:
        """The numbers, a line each."""
        psi = "not recorded" if self.stability_index is None else f"{self.stability_index:.4f}"
        lines = [f"scores: {self.rows:,}", f"stability index: {psi}"]
        for side, share in self.unknown.items():
            expected = self.expected.get(side)
            was = "not recorded" if expected is None else f"{expected:.1%}"
            lines.append(f"unknown {side}s: {share:.1%} (evaluation: {was})")
        return "\n".join(lines)


def measure_drift(manifest: Mapping[str, Any], served: Mapping[str, np.ndarray]) -> Drift:
    """Compares what was served with what a manifest says of the evaluation.

    Args:
      manifest: Of an export: `scores` and `known` are read, where it has them.
      served: `score`, and where it is recorded `user_known` and `item_known` (bool): [N] each.

    Raises:
      ValueError: There is no score, one is not finite, or what is recorded as known is not yes or
        no in every row.
    """
    scores = np.asarray(served["score"], np.float64)
    if not len(scores):
        raise ValueError("There must be a score at the least. Received: none.")
    if not np.isfinite(scores).all():
        row = int(np.argmin(np.isfinite(scores)))
        raise ValueError(f"`score` must be finite. Received: {scores[row]} in row {row}.")
    unknown = {
        side: 1 - _share(f"{side}_known", served[f"{side}_known"])
        for side in ("user", "item")
        if f"{side}_known" in served
    }
    quantiles = (manifest.get("scores") or {}).get("quantiles")
    known = manifest.get("known") or {}
    return Drift(
        len(scores),
        None if quantiles is None else stability_index(quantiles, scores),
        unknown,
        {side: 1 - known[f"{side}s"] for side in ("user", "item") if f"{side}s" in known},
    )


def _share(name: str, known: np.ndarray) -> float:
    known = np.asarray(known, np.float64)
    is_answer = np.isin(known, (0, 1))
    if not is_answer.all():
        row = int(np.argmin(is_answer))
        raise ValueError(
            f"`{name}` must be 1 or 0 in every row. Received: {known[row]} in row {row}."
        )
    return float(np.mean(known))
