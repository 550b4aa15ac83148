"""A scenario run judged: the model beside its baselines, and whether it reads its support."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmml_tf.baselines.item_pop import item_popularity_scores
from cmml_tf.episodes.evaluation_episodes import EvaluationEpisodes
from cmml_tf.evaluation.ranking_protocol import ContextScorer, RankingEvaluation, evaluate_ranking
from cmml_tf.models.cmml import CMML

_COLUMNS = ("recall@5", "recall@10", "recall@20", "recall@50", "ndcg@10", "mrr")
_GAIN = "recall@10"
_INTERVAL = "± (95%, over scenarios)"


@dataclass(frozen=True)
class ScenarioReport:
    """Four evaluations of the same (scenario, user) rows.

    Attributes:
      model: The model with each scenario's own support set.
      swapped: The model with another scenario's support set; None with a single scenario.
      no_context: The backbone trained without a context.
      item_pop: ItemPop on the support set.
    """

    model: RankingEvaluation
    swapped: RankingEvaluation | None
    no_context: RankingEvaluation
    item_pop: RankingEvaluation

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json` that evaluation knows.

        `meta_test_interval` is half of each mean's 95% interval over scenarios.
        `context_gain` is Recall@10 with the own support set minus that with another's;
        `interval` is half of its 95% interval over scenarios. A gain says that the support set is
        read, not that it helps: harm by a wrong one counts as well.
        """
        gain: dict[str, Any] = {_GAIN: None, "interval": None, "swapped": None}
        if self.swapped is not None:
            difference = self.model.gain_over(self.swapped, _GAIN)
            gain = {
                _GAIN: difference.mean,
                "interval": _finite(difference.half_width),
                "swapped": self.swapped.means(),
            }
        return {
            "meta_test": self.model.means(),
            "meta_test_interval": {
                name: _finite(value) for name, value in self.model.half_widths().items()
            },
            "baselines": {
                "item_pop": self.item_pop.means(),
                "no_context": self.no_context.means(),
            },
            "context_gain": gain,
        }

    def table(self, name: str) -> str:
        """The report as text; `name` is the model's."""
        systems = [(name, self.model), ("no-context MLP", self.no_context)]
        systems.append(("ItemPop", self.item_pop))
        if self.swapped is not None:
            systems.append((f"{name}, swapped support", self.swapped))
        width = max(len(_INTERVAL), *(len(label) for label, _ in systems))
        lines = [" " * width + "".join(f"{column:>11}" for column in _COLUMNS)]
        for label, evaluation in systems:
            lines.append(f"{label:<{width}}{_cells(evaluation.means())}")
            if evaluation is self.model:
                lines.append(f"{_INTERVAL:<{width}}{_cells(self.model.half_widths())}")
        for label, other in (
            ("no-context MLP", self.no_context),
            ("ItemPop", self.item_pop),
            ("swapped support (context gain)", self.swapped),
        ):
            if other is not None:
                difference = self.model.gain_over(other, _GAIN)
                lines.append(
                    f"{name} minus {label}, {_GAIN}: "
                    f"{difference.mean:+.4f} ± {difference.half_width:.4f}"
                )
        rows = np.sum(~np.isnan(self.model.rows[_GAIN]))
        lines.append(
            f"{len(self.model.names)} held-out scenarios, {rows} (scenario, user) rankings"
        )
        return "\n".join(lines)


def report_scenarios(model: CMML, no_context: CMML, episodes: EvaluationEpisodes) -> ScenarioReport:
    """Evaluates a model and its baselines on the same episodes."""
    scorer = ContextScorer(model)
    swapped = evaluate_ranking(scorer, episodes.swapped()) if len(episodes) > 1 else None
    return ScenarioReport(
        model=evaluate_ranking(scorer, episodes),
        swapped=swapped,
        no_context=evaluate_ranking(ContextScorer(no_context), episodes),
        item_pop=evaluate_ranking(item_popularity_scores, episodes),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cells(values: dict[str, float]) -> str:
    return "".join(f"{values[column]:>11.4f}" for column in _COLUMNS)
