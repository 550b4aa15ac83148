"""Trains CMML for unseen scenarios, evaluates it beside its baselines, and exports it for serving.

python pipelines/train_scenario.py                       # cmml-ridge on movielens-small
python pipelines/train_scenario.py --data ml-1m --preset cmml-soft-m --seed 1
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import command_line
import tensorflow as tf
from run_end import described, export_finished, save_metrics, warn_of_export
from scenario_run import ScenarioRun, prepare

from cmml_tf.config import ModelConfig, ScenarioRunConfig
from cmml_tf.evaluation.scenario_report import report_scenarios
from cmml_tf.evaluation.scenario_systems import fit_scenario_system
from cmml_tf.files import write_whole
from cmml_tf.models.cmml import CMML
from cmml_tf.training.strategies import (
    chief_first,
    is_chief,
    is_served,
    open_strategy,
    serve_cluster,
    wait_for_all,
)

_NO_CONTEXT_SHARE = 0.2


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    config = command_line.scenario_config(argv, __doc__)
    if config is None:
        return 0
    if is_served(config.strategy):
        serve_cluster()
    strategy = open_strategy(config.strategy)
    clock = _Clock()
    warn_of_export(Path(config.export_dir))
    print(f"Data: {config.data}")
    with chief_first(strategy):
        scenario_run = prepare(config, writes=is_chief(strategy))
    folder = scenario_run.folder.path
    print(f"Run folder: {folder}\nEvaluation episodes: {scenario_run.meta_test.fingerprint()}")
    clock.lap("data")

    limit = config.max_minutes
    no_context = _train(
        strategy,
        scenario_run,
        scenario_run.no_context_config(),
        folder / "no_context",
        None if limit is None else limit * _NO_CONTEXT_SHARE,
    )
    clock.lap("train_no_context")
    if limit is not None:
        limit -= clock.seconds["train_no_context"] / 60
    model = _train(strategy, scenario_run, config.model, folder / "model", limit)
    clock.lap("train")
    if is_chief(strategy):
        _finish(config, scenario_run, no_context, model, clock)
    wait_for_all(strategy)  # a process that ended earlier would look like a lost one
    return 0


def _finish(
    config: ScenarioRunConfig,
    scenario_run: ScenarioRun,
    no_context: CMML,
    model: CMML,
    clock: "_Clock",
) -> None:
    """Evaluates, writes what that gave, then exports."""
    folder = scenario_run.folder.path
    report = report_scenarios(model, no_context, scenario_run.meta_test)
    clock.lap("evaluate")
    table = report.model.scenario_table()
    write_whole(folder / "meta_test_scenarios.csv", table.to_csv(index=False))
    metrics = report.metrics() | {
        "counts": scenario_run.data.counts,
        "episodes_hash": scenario_run.meta_test.fingerprint(),
    }
    file = save_metrics(folder, metrics | {"seconds": clock.seconds})
    print(f"\n{report.table(config.preset)}\n\nMetrics: {file}", flush=True)
    exported = export_finished(folder, lambda facts: scenario_run.export(model, facts))
    clock.lap("export")
    save_metrics(folder, metrics | {"export": str(exported.version), "seconds": clock.seconds})
    print(described(exported))


def _train(
    strategy: tf.distribute.Strategy,
    scenario_run: ScenarioRun,
    model_config: ModelConfig,
    folder: Path,
    max_minutes: float | None,
) -> CMML:
    config = scenario_run.config
    print(f"\nTraining {folder.name}")
    with strategy.scope():
        model = scenario_run.model(model_config)
    result = fit_scenario_system(
        model,
        scenario_run,
        config.episode,
        config.training,
        config.seed,
        folder,
        None if max_minutes is None else max(max_minutes, 0.01),
        verbose=1 if sys.stdout.isatty() else 2,
    )
    if result.resumed_from:
        print(f"Resumed behind epoch {result.resumed_from}.")
    if config.strategy != "none":
        # What is evaluated and exported has ordinary variables.
        return scenario_run.trained(model_config, folder.name)
    return model


class _Clock:
    """Wall-clock seconds of each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 3)
        self.seconds["total"] = round(now - self._start, 3)
        self._last = now


if __name__ == "__main__":
    command_line.run(main)
