"""A run as a command makes it: trained, evaluated, exported; what is done already is found."""

import json
from typing import Any

import tensorflow as tf

from cmml_tf.files import write_whole
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.serving.exported import Exported
from cmml_tf.serving.version.cost import version_bytes, version_cost
from cmml_tf.settings.base import Setting
from cmml_tf.settings.clock import Clock
from cmml_tf.settings.export_place import export_place
from cmml_tf.settings.run import Say, SettingRun, open_run
from cmml_tf.settings.run_end import (
    described,
    export_finished,
    save_metrics,
    warn_of_export,
    warning,
    what_next,
    write_report,
)
from cmml_tf.training.run_folder import MODEL, TWIN
from cmml_tf.training.strategies import (
    chief_first,
    is_chief,
    is_served,
    open_strategy,
    serve_cluster,
    wait_for_all,
)

_MODEL_SHARE = 0.6


def train(
    run: SettingRun,
    say: Say,
    verbose: int,
    strategy: tf.distribute.Strategy | None = None,
    clock: Clock | None = None,
) -> tuple[AdaptingModel, AdaptingModel]:
    """Trains the model, then its twin for as many steps; or finishes, or finds, both.

    Args:
      run: Whose configuration says what.
      say: Where a line for people goes.
      verbose: Keras' progress: 0 silent, 1 a bar, 2 a line an epoch.
      strategy: Who shares a step; None: this process alone.
      clock: Is told when each is done.

    Returns:
      The model, and its twin, which was never given a support set.
    """
    strategy, clock = strategy or tf.distribute.get_strategy(), clock or Clock()
    limit = run.config.max_minutes
    share = None if limit is None else limit * _MODEL_SHARE
    trained = run.train(MODEL, strategy, share, verbose, say)
    clock.lap("train")
    if not trained.compiled.model.reads_support:
        model = trained.model
        return model, model
    if limit is not None:
        limit -= clock.seconds["train"] / 60
    # In this process alone as the same graph: to trace and rewrite it takes seconds.
    alone = strategy is tf.distribute.get_strategy()
    compiled = trained.compiled if alone else None
    twin = run.train(TWIN, strategy, limit, verbose, say, trained.epochs, compiled=compiled)
    clock.lap("train_twin")
    return trained.model, twin.model


def run_from_data_to_export(setting: Setting, config: Any, say: Say, verbose: int) -> None:
    """Trains, evaluates and exports; what an earlier process has done is found, not done again.

    Args:
      setting: What a task is.
      config: Of the run.
      say: Where a line for people goes.
      verbose: Keras' progress: 0 silent, 1 a bar, 2 a line an epoch.
    """
    if is_served(config.strategy):
        serve_cluster()
    strategy = open_strategy(config.strategy)
    clock = Clock()
    setting.export_options(config)  # a key that cannot be used is refused before the training
    warn_of_export(export_place(setting.form, config), say)
    say(f"Data: {config.data}")
    with chief_first(strategy):
        run = open_run(setting, config, say, writes=is_chief(strategy))
    say(f"Run folder: {run.folder.path}")
    say(f"Evaluation episodes: {run.prepared.meta_test.fingerprint()}")
    clock.lap("data")

    model, twin = train(run, say, verbose, strategy, clock)
    if is_chief(strategy):
        _finish(run, model, twin, clock, say)
    wait_for_all(strategy)  # a process that ended earlier would look like a lost one


def _finish(
    run: SettingRun, model: AdaptingModel, twin: AdaptingModel, clock: Clock, say: Say
) -> None:
    """Evaluates, writes what that gave, then exports."""
    folder = run.folder.path
    report = run.report(model, twin)
    clock.lap("evaluate")
    run.write_table(report)
    metrics = run.metrics(report)
    file = save_metrics(folder, metrics | {"seconds": clock.seconds})
    say(f"\n{report.table(run.config.preset)}\n\nMetrics: {file}")
    run.write_curves(report)
    try:
        exported = export_finished(folder, lambda facts: run.export(model, facts))
        clock.lap("export")
        metrics |= {"export": str(exported.version), "export_cost": _export_cost(run, exported)}
        save_metrics(folder, metrics | {"seconds": clock.seconds})
    finally:
        write_report(folder, run.setting.form, say)  # also of a model that may not be exported
    lines = [described(exported), *warning(metrics), what_next(exported, run.config.data)]
    say("\n".join(lines))


def _export_cost(run: SettingRun, exported: Exported) -> dict[str, Any]:
    """What the version costs; of a smoke run its bytes alone, as loading it takes seconds."""
    if run.config.quick:
        return {"bytes": version_bytes(exported.version)}
    return version_cost(exported.version)


def evaluate_again(setting: Setting, config: Any, say: Say) -> None:
    """Evaluates a finished run on its own saved tasks; writes `evaluation.json` beside them."""
    run = open_run(setting, config, say)
    model = run.trained(MODEL)
    report = run.report(model, run.trained_twin(model))
    metrics = run.metrics(report)
    file = run.folder.path / "evaluation.json"
    write_whole(file, json.dumps(metrics, indent=2))
    run.write_table(report)
    say(f"\n{report.table(config.preset)}\n\nMetrics: {file}")
