"""Whether a candidate may take the place of what is served: both are asked the same new log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from cmml_tf.evaluation.criteria import Gain
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
      metric: By which both are compared.
      candidate: The candidate's mean.
      mean: Its own.
      difference: How much better the candidate is; positive: it is.
    """

    label: str
    metric: str
    candidate: float
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
      strongest: The best of the simple systems, where it is better than the floor; None: a version
        is served, which says more.
      floor: The simple system that nothing served may be below.
      chance: What knows nothing, by each metric of the setting: a model of ratings may know how
        users rate, which lowers its error, and tell no item from another.
      tasks: How many were asked, and what they are called.
      protocol: What may be known of a task.
      described: How many of the log's `items` and `users` the candidate serves by their features;
        empty where no tables of features were given.
    """

    metric: str
    label: str
    mean: float
    current: Other | None
    strongest: Other | None
    floor: Other
    chance: Sequence[Other]
    tasks: tuple[int, str]
    protocol: str
    described: Mapping[str, int]

    def refusals(self) -> list[str]:
        """Why the candidate may not be served, a clause each; empty: it may."""
        found = []
        for rival in (self.current, self.strongest):
            if rival is not None and not rival.difference.is_no_loss:
                found.append(f"worse than {self._spelled(rival)}")
        if not self.floor.difference.mean >= 0:
            found.append(f"below {self._spelled(self.floor)}")
        lost = [one for one in self.chance if not one.difference.is_gain]
        if lost:
            found.append(f"at chance, beside {self._spelled(lost[0])}")
        return found

    def table(self) -> str:
        """For people."""
        rivals = (self.current, self.strongest, self.floor, *self.chance)
        others = {self._named(one): one for one in rivals if one is not None}
        width = max(map(len, (self.label, *others)))
        count, tasks = self.tasks
        lines = [
            f"{self.metric} over {count} {tasks} that no export has learned from"
            if self.protocol != "warm"
            else f"{self.metric} over {count} {tasks}, which were learned from (warm)",
            f"  {self.label:{width}}  {self.mean:.4f}",
        ]
        lines += [
            f"  {name:{width}}  {one.mean:.4f}  candidate {one.difference.spelled()}"
            for name, one in others.items()
        ]
        if self.described:
            lines.append(f"  {said_of_features(self.described)}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """As `--json` writes it."""
        others = {"current": self.current, "strongest": self.strongest, "floor": self.floor}
        return {
            "metric": self.metric,
            "candidate": {"name": self.label, "mean": finite(self.mean)},
            **{name: one and _as_json(one) for name, one in others.items()},
            "chance": {one.metric: _as_json(one) for one in self.chance},
            "tasks": self.tasks[0],
            "protocol": self.protocol,
            "served_by_features": dict(self.described),
            "refusals": self.refusals(),
        }

    def _spelled(self, other: Other) -> str:
        count, tasks = self.tasks
        return (
            f"{other.label}, {other.candidate:.4f} against {other.mean:.4f} in {other.metric}, "
            f"difference {other.difference.spelled()} (95%, over {count} {tasks})"
        )

    def _named(self, other: Other) -> str:
        return other.label if other.metric == self.metric else f"{other.label}, {other.metric}"


def _as_json(other: Other) -> dict[str, Any]:
    facts = {"name": other.label, "mean": finite(other.mean)}
    return facts | difference_as_json(other.difference)


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

    def beside(label: str, metrics: TaskMetrics, by: Gain = gain) -> Other:
        means = own.means()[by.metric], metrics.means()[by.metric]
        return Other(label, by.metric, *means, better_by(own, metrics, by))

    names = (simple.floor, simple.chance, *(simple.first if current is None else ()))
    controls = {
        name: setting.evaluate(scorer, asked)
        for name, scorer in setting.simple_systems(log.prepared, names).items()
    }
    chance = [
        beside(simple.labels[simple.chance], controls[simple.chance], by)
        for by in setting.form.gains
    ]
    others = {
        name: beside(simple.labels[name], controls[name]) for name in names if name != simple.chance
    }
    strongest = min(others, key=lambda name: others[name].difference.mean)
    return Comparison(
        gain.metric,
        str(candidate.folder),
        own.means()[gain.metric],
        None if current is None else beside(str(current.folder), _asked(current, log)),
        None if strongest == simple.floor else others[strongest],
        others[simple.floor],
        chance,
        (len(own.names), setting.form.asked[0]),
        log.protocol,
        described,
    )


def _asked(export: LoadedExport, log: AskedLog) -> TaskMetrics:
    return log.setting.evaluate(log.scorer(export, export), log.prepared.meta_test)
