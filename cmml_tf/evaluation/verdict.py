"""What may be said of a model beside its controls, in a sentence and as numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmml_tf.evaluation.criteria import Gain
from cmml_tf.evaluation.statistics import PairedDifference
from cmml_tf.evaluation.task_metrics import TaskMetrics

WRONG_SUPPORT = ("swapped", "flipped")
"""Controls that are given something wrong on purpose."""


def better_by(model: TaskMetrics, other: TaskMetrics, gain: Gain) -> PairedDifference:
    """How much better a model is than another system on the same rows; positive: it is."""
    better, worse = (model, other) if gain.sign > 0 else (other, model)
    return better.gain_over(worse, gain.metric)


@dataclass(frozen=True)
class Verdict:
    """How much better a model is than each of its controls, by the decisive metric.

    Attributes:
      metric: The decisive metric.
      differences: By control; positive where the model is better. Intervals are over tasks.
      labels: How sentences spell a control.
      context: The better of the model without a support set and its twin, by name.
      chance: The control that knows nothing.
      tasks: What intervals are over, in words.
    """

    metric: str
    differences: Mapping[str, PairedDifference]
    labels: Mapping[str, str]
    context: str
    chance: str
    tasks: str

    @property
    def at_chance(self) -> bool:
        """Whether the model is not better, beyond the interval, than what knows nothing."""
        return not self.is_better_than(self.chance)

    @property
    def below(self) -> list[str]:
        """Controls with a better mean than the model, the best of them first.

        Those that are given something wrong, `swapped` and `flipped`, are none to be above: what
        they tell is whether the support is read.
        """
        found = [
            name
            for name, one in self.differences.items()
            if one.mean < 0 and name not in WRONG_SUPPORT
        ]
        return sorted(found, key=lambda name: self.differences[name].mean)

    def is_better_than(self, control: str) -> bool:
        """Whether the model is better by more than the interval."""
        return self.differences[control].is_gain

    @property
    def sentence(self) -> str:
        """What a reader has to know, the worst first."""
        said = []
        if self.at_chance:
            said.append(
                f"at chance, {self._spelled(self.chance)} beside {self._label(self.chance)}"
            )
        below = [name for name in self.below if name != self.chance]
        if below:
            worse = (f"{self._label(name)} by {self._spelled(name, '')}" for name in below)
            said.append(f"below {', below '.join(worse)}")
        helped = f"{self._spelled(self.context)} beside {self._label(self.context)}"
        if self.is_better_than(self.context):
            said.append(f"better by its support sets, {helped}")
        elif self.context not in below:
            said.append(f"not shown to be better by its support sets, {helped}")
        if not below and not self.at_chance:
            others = (self.chance, "none", "twin", *WRONG_SUPPORT)
            simple = [name for name in self.differences if name not in others]
            if simple:
                best = min(simple, key=lambda name: self.differences[name].mean)
                said.append(
                    f"above every simple control, {self._spelled(best)} beside {self._label(best)}"
                )
        return f"{self.metric} is {'; '.join(said)} (± 95%, over {self.tasks})."

    def as_json(self) -> dict[str, Any]:
        """As `metrics.json` has it."""
        return {
            "sentence": self.sentence,
            "at_chance": self.at_chance,
            "below": self.below,
            "better_than": [name for name in self.differences if self.is_better_than(name)],
            "differences": {
                name: difference_as_json(one) for name, one in self.differences.items()
            },
        }

    def _label(self, name: str) -> str:
        return self.labels[name]

    def _spelled(self, name: str, sign: str = "+") -> str:
        return self.differences[name].spelled(sign)


def difference_as_json(one: PairedDifference) -> dict[str, float | None]:
    """A difference and half of its interval; None for what is undefined."""
    return {"difference": finite(one.mean), "interval": finite(one.half_width)}


def finite(value: float) -> float | None:
    """The number, None in the place of NaN, as JSON needs it."""
    return value if math.isfinite(value) else None
