"""An export on a new log: beside its controls, by size of the support, and calibrated or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmml_tf.evaluation.altered_support import FlippedLabels, WithoutSupport
from cmml_tf.evaluation.calibration import Calibration
from cmml_tf.evaluation.report import FLIPPED, NONE, OWN, Asked, Report
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.operation.asked_log import AskedLog
from cmml_tf.operation.loaded_export import Answering, Export
from cmml_tf.settings.judging import ask_all, ask_curve


@dataclass(frozen=True)
class ExportEvaluation:
    """What an export has reached on a log.

    Attributes:
      name: How people call it.
      report: The export beside the controls that need no training.
      calibration: What its scores are worth.
      counts: What the log holds, and what was left out.
      described: How many of its `items` and `users` that are not known are served by features;
        empty where no tables of features were given.
    """

    name: str
    report: Report
    calibration: Calibration
    counts: dict[str, int]
    described: dict[str, int]

    def metrics(self) -> dict[str, Any]:
        """As docs/runs.md describes `metrics.json`, with `calibration` and `served_by_features`."""
        return {
            **self.report.metrics(),
            "calibration": self.calibration.as_json(),
            "counts": self.counts,
            "served_by_features": self.described,
        }

    def table(self) -> str:
        """For people."""
        *lines, verdict = self.report.table(self.name).splitlines()
        said = [said_of_features(self.described)] if self.described else []
        return "\n".join([*lines, *said, self.calibration.table(), "", verdict])


def evaluate_export(export: Export, answering: Answering, log: AskedLog) -> ExportEvaluation:
    """Asks an export and its controls the tasks of a log.

    Its controls are itself without a support, with that of another task and with flipped labels,
    and what is simple and needs nothing but the log. There is no twin: nobody has trained one.

    Args:
      export: Says what it is.
      answering: Who answers for it: itself, or a server.
      log: The tasks.

    Raises:
      ValueError: A score is NaN.
    """
    setting, form = log.setting, log.setting.form
    own, prepared, known, described = log.told(export, answering)
    simple = form.simple.without_training()
    controls = setting.simple_systems(prepared, tuple(simple.labels))
    systems: dict[str, Scorer] = {
        OWN: own,
        NONE: WithoutSupport(own),
        FLIPPED: FlippedLabels(own, prepared.scale),
        **controls,
    }
    asked, curve = prepared.meta_test, prepared.curve
    found = ask_all(setting, systems, asked)
    report = Report(
        systems=found,
        curve={} if curve is None else ask_curve(setting, systems, curve, found),
        simple=simple,
        chosen={name: dict(getattr(one, "settings", {})) for name, one in controls.items()},
        gains=form.gains,
        columns=form.columns,
        shown=form.shown,
        asked=Asked(log.protocol, known, *form.asked, 0 if curve is None else curve.draws),
    )
    scored = Calibration.of(*setting.scored_pairs(own, asked), form.predicts_labels)
    return ExportEvaluation(str(export.folder), report, scored, prepared.data.counts, described)


def said_of_features(described: Mapping[str, int]) -> str:
    """How many ids that an export does not know it serves by their features, for people."""
    counts = " and ".join(f"{count:,} {what}" for what, count in described.items())
    return f"served by features, not known by id: {counts} of the log"
