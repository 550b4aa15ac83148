"""What lists of recommendations hold: how much of a catalogue, how popular, how new to a reader.

A system that gives everybody the same ten items may rank well and recommend little. Popularity is
taken from what is to be found: the share of the rankings in which an item is. It is defined for
items that no training knows, too.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from cmml_tf.metrics.tie_groups import TieGroups


class Lists:
    """The first k of many rankings of the same C candidates.

    - coverage@k: the share of the candidates that are in the list of at least one ranking
      (aggregate diversity; Adomavicius and Kwon 2012).
    - popularity@k: the mean share of rankings in which a listed item is to be found. Beside that
      of what was to be found, `taken`, it says whether popular items are listed too often
      (Abdollahpouri et al. 2019).
    - novelty@k: the mean surprise of a listed item in bits, -log2 of that share; one ranking is
      added to both its counts, so that an item that is never to be found has a finite one (Vargas
      and Castells 2011).

    Each is the expectation over a random order of candidates with equal scores.

    Args:
      k: Length of a list; all candidates where there are fewer.
      takers: int [C], rankings in which each candidate is to be found.
      rankings: How many rankings there are.
    """

    def __init__(self, k: int, takers: np.ndarray, rankings: int) -> None:
        self._k = min(k, len(takers))
        self._name = k
        self._takers = takers
        self._share = takers / rankings
        self._bits = -np.log2((takers + 1) / (rankings + 1))
        self._in_none = np.ones(len(takers))
        self._sums = np.zeros(3)

    def add(self, groups: TieGroups, valid: np.ndarray | None = None) -> None:
        """Reads rankings.

        Args:
          groups: Of `sort_in_tie_groups`, [R, C].
          valid: bool [R, C]: False where a candidate is never listed; None: all are.
        """
        # As far as the group of equal scores reaches that the end of the list falls into.
        width = int(groups.end[:, self._k - 1].max(initial=0))
        item = groups.order[:, :width]
        start, end = groups.start[:, :width], groups.end[:, :width]
        listed = np.clip(self._k - start, 0, end - start) / (end - start)
        if valid is not None:
            listed = listed * np.take_along_axis(valid, item, axis=1)
        np.multiply.at(self._in_none, item, 1.0 - listed)
        self._sums += [
            listed.sum(),
            (listed * self._share[item]).sum(),
            (listed * self._bits[item]).sum(),
        ]

    def metrics(self) -> dict[str, float]:
        """`coverage@k`, `popularity@k` and `novelty@k`, and `<name>_taken` of what is to be found.

        NaN where nothing is listed, or nothing is to be found.
        """
        listed, popularity, bits = self._sums
        taken = self._takers.sum()
        means = {
            f"popularity@{self._name}": (popularity, listed),
            f"novelty@{self._name}": (bits, listed),
            "popularity_taken": (self._takers @ self._share, taken),
            "novelty_taken": (self._takers @ self._bits, taken),
        }
        return {
            f"coverage@{self._name}": float(np.mean(1.0 - self._in_none)),
            "coverage_taken": float(np.mean(self._takers > 0)),
            **{
                name: float(total / count) if count else float("nan")
                for name, (total, count) in means.items()
            },
        }


def mean_lists(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each over several catalogues, or draws; what is NaN is left out."""
    found = {}
    for name in metrics[0]:
        values = np.array([one[name] for one in metrics])
        defined = values[~np.isnan(values)]
        found[name] = float(defined.mean()) if len(defined) else float("nan")
    return found
