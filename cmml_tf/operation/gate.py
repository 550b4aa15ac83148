"""Whether a candidate may take the place of what is served: both are asked the same new log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from cmml_tf.evaluation.statistics import PairedDifference
from cmml_tf.evaluation.task_metrics import TaskMetrics
from cmml_tf.evaluation.verdict import better_by, difference_as_json, finite
from cmml_tf.operation.asked_log import AskedLog
from cmml_tf.operation.export_evaluation import said_of_features
from cmml_tf.operation.loaded_export import LoadedExport
from cmml_tf.program import UnmetRequirementError

_LEAST_TASKS = 2


class Other(NamedTuple):
    """What the candidate is compared with.

    Attributes:
      label: How people call it.
      mean: Of the decisive metric.
      difference: How much better the candidate is; positive: it is.
    """

    label: str
    mean: float
    difference: PairedDifference


@dataclass(frozen=True)
class Comparison:
    """A candidate beside the served version and what is simple.

    Attributes:
      metric: The decisive metric of the setting.
      label: How people call the candidate.
      mean: Of the candidate.
      current: The served version; None: there is none.
      floor: The simple system that nothing served may be below.
      chance: What knows nothing.
      tasks: How many were asked, and what they are called.
      protocol: What may be known of a task.
      described: How many of the log's `items` and `users` the candidate serves by their features;
        empty where no tables of features were given.
    """

    metric: str
    label: str
    mean: float
    current: Other | None
    floor: Other
    chance: Other
    tasks: tuple[int, str]
    protocol: str
    described: Mapping[str, int]

    def refusals(self) -> list[str]:
        """Why the candidate may not be served, a clause each; empty: it may."""
        found = []
        if self.current is not None and not self.current.difference.is_no_loss:
            found.append(f"worse than {self._spelled(self.current)}")
        if not self.floor.difference.mean >= 0:
            found.append(f"below {self._spelled(self.floor)}")
        if not self.chance.difference.is_gain:
            found.append(f"at chance, beside {self._spelled(self.chance)}")
        return found

    def table(self) -> str:
        """For people."""
        others = [one for one in (self.current, self.floor, self.chance) if one is not None]
        width = max(len(one) for one in (self.label, *(other.label for other in others)))
        count, tasks = self.tasks
        lines = [
            f"{self.metric} over {count} {tasks} that no export has learned from"
            if self.protocol != "warm"
            else f"{self.metric} over {count} {tasks}, which were learned from (warm)",
            f"  {self.label:{width}}  {self.mean:.4f}",
        ]
        lines += [
            f"  {one.label:{width}}  {one.mean:.4f}  candidate {one.difference.spelled()}"
            for one in others
        ]
        if self.described:
            lines.append(f"  {said_of_features(self.described)}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """As `--json` writes it."""
        others = {"current": self.current, "floor": self.floor, "chance": self.chance}
        return {
            "metric": self.metric,
            "candidate": {"name": self.label, "mean": finite(self.mean)},
            **{
                name: one
                and {"name": one.label, "mean": finite(one.mean)}
                | difference_as_json(one.difference)
                for name, one in others.items()
            },
            "tasks": self.tasks[0],
            "protocol": self.protocol,
            "served_by_features": dict(self.described),
            "refusals": self.refusals(),
        }

    def _spelled(self, other: Other) -> str:
        count, tasks = self.tasks
        return (
            f"{other.label}, {self.mean:.4f} against {other.mean:.4f} in {self.metric}, difference "
            f"{other.difference.spelled()} (95%, over {count} {tasks})"
        )


def compare_exports(
    candidate: LoadedExport, current: LoadedExport | None, log: AskedLog
) -> Comparison:
    """Asks a candidate, the served version and simple systems the tasks of a log.

    Args:
      candidate: Who may be served.
      current: What is served; None: nothing yet.
      log: The tasks.

    Raises:
      UnmetRequirementError: The candidate cannot answer, or answers NaN.
      ValueError: The log has fewer than two tasks, or the served version cannot answer.
    """
    setting, asked = log.setting, log.prepared.meta_test
    simple, gain = setting.form.simple.without_training(), setting.form.decisive
    scorer, told, known, described = log.told(candidate, candidate)
    try:
        own = setting.evaluate(scorer, told.meta_test)
    except (ValueError, tf.errors.OpError) as error:
        raise UnmetRequirementError(
            f"Not promoted: {candidate.folder} does not answer what it is asked: "
            f"{str(error).splitlines()[0]}"
        ) from error
    if not any((*known.values(), *described.values())):
        raise ValueError(
            f"The log must ask for users or items that {candidate.folder} knows, for a comparison "
            f"to say anything. Received: {' and '.join(known)}, none of which it knows: of "
            "another catalogue, or ids that are written otherwise."
        )
    if len(own.names) < _LEAST_TASKS:
        raise ValueError(
            f"The log must have at least {_LEAST_TASKS} {setting.form.asked[0]} to be asked: one "
            f"alone has no interval. Received: {len(own.names)}."
        )

    def beside(label: str, metrics: TaskMetrics) -> Other:
        return Other(label, metrics.means()[gain.metric], better_by(own, metrics, gain))

    scorers = setting.simple_systems(log.prepared, (simple.floor, simple.chance))
    controls = {
        name: beside(simple.labels[name], setting.evaluate(scorer, asked))
        for name, scorer in scorers.items()
    }
    return Comparison(
        gain.metric,
        str(candidate.folder),
        own.means()[gain.metric],
        None if current is None else beside(str(current.folder), _asked(current, log)),
        controls[simple.floor],
        controls[simple.chance],
        (len(own.names), setting.form.asked[0]),
        log.protocol,
        described,
    )


def _asked(export: LoadedExport, log: AskedLog) -> TaskMetrics:
    return log.setting.evaluate(log.scorer(export, export), log.prepared.meta_test)
