"""What a user run is judged by: the model beside means, and whether it reads its support."""

import math
from dataclasses import dataclass
from typing import Any

from cmml_tf.baselines.rating_means import (
    global_mean,
    item_mean_and_user_bias,
    item_means,
    user_mean,
)
from cmml_tf.datasets.rating_tasks import RatingData
from cmml_tf.episodes.rating_episodes import evaluation_batches
from cmml_tf.evaluation.rating_protocol import (
    RatingEvaluation,
    RatingPredictor,
    evaluate_ratings,
    support_length_curve,
    swapped,
)
from cmml_tf.models.cmml import CMML

_COLUMNS = ("mae", "ndcg@3", "ndcg@1")
# What another user's support costs: better is lower, or higher.
_GAINS = {"mae": -1.0, "ndcg@3": 1.0}


@dataclass(frozen=True)
class RatingReport:
    """Evaluations of the same users.

    Attributes:
      model: With each user's own support.
      swapped: With another user's support ratings; None with a single user.
      baselines: Global mean, user mean, item mean + user bias.
      curve: Means of the model's metrics by support length.
    """

    model: RatingEvaluation
    swapped: RatingEvaluation | None
    baselines: dict[str, RatingEvaluation]
    curve: dict[int, dict[str, float]]

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json` that evaluation knows.

        `context_gain` is how much lower the MAE is, and how much higher NDCG@3, with the own
        support than with another user's; `interval` is half of the 95% interval over users.
        """
        gain: dict[str, Any] = {}
        if self.swapped is not None:
            for name, sign in _GAINS.items():
                difference = self.model.difference(self.swapped, name)
                gain[name] = {
                    "gain": sign * difference.mean,
                    "interval": _finite(difference.half_width),
                    "swapped": self.swapped.means()[name],
                }
        return {
            "meta_test": self.model.means(),
            "baselines": {name: one.means() for name, one in self.baselines.items()},
            "context_gain": gain,
            "support_length": {str(length): means for length, means in self.curve.items()},
        }

    def table(self, name: str) -> str:
        """The report as text; `name` is the model's."""
        systems = {name: self.model, **self.baselines}
        if self.swapped is not None:
            systems[f"{name}, another user's support"] = self.swapped
        width = max(map(len, systems))
        lines = [" " * width + "".join(f"{column:>9}" for column in _COLUMNS)]
        for label, evaluation in systems.items():
            means = evaluation.means()
            lines.append(f"{label:<{width}}" + "".join(f"{means[c]:>9.4f}" for c in _COLUMNS))
        if self.swapped is not None:
            for metric, sign in _GAINS.items():
                difference = self.model.difference(self.swapped, metric)
                lines.append(
                    f"context gain, {metric}: {sign * difference.mean:+.4f} "
                    f"± {difference.half_width:.4f} (95% interval over users)"
                )
        curve = ", ".join(f"{length}: {means['mae']:.4f}" for length, means in self.curve.items())
        lines.append(f"MAE by support length: {curve}")
        lines.append(f"{len(self.model.rows['mae'])} unseen users")
        return "\n".join(lines)


def report_ratings(model: CMML, data: RatingData) -> RatingReport:
    """Evaluates a model and the means on the meta-test users."""
    episodes = evaluation_batches(data.meta_test, data.query)
    means = item_means(data.meta_train, len(data.item_ids))
    predictor = RatingPredictor(model)
    baselines = {
        "global mean": global_mean,
        "user mean": user_mean,
        "item mean + user bias": item_mean_and_user_bias,
    }
    several = len(data.meta_test) > 1
    return RatingReport(
        model=evaluate_ratings(predictor, episodes),
        swapped=evaluate_ratings(predictor, swapped(episodes)) if several else None,
        baselines={
            name: evaluate_ratings(lambda episode, f=f: f(means, episode), episodes)
            for name, f in baselines.items()
        },
        curve=support_length_curve(predictor, data.meta_test, data.query),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
