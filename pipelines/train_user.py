"""Trains CMML for new users (rating prediction), evaluates it beside means, and exports it.

python pipelines/train_user.py                                  # CMML-FiLM, movielens-small
python pipelines/train_user.py --data ml-1m --preset ridge --seed 1
python pipelines/train_user.py --data FOLDER --tasks.tasks FOLDER/user_tasks.csv
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import command_line
import numpy as np
import tensorflow as tf
from run_end import described, export_finished, save_metrics, warn_of_export
from user_command_line import user_config
from user_run import UserRun, prepare

from cmml_tf.datasets.rating_tasks import RatingData
from cmml_tf.evaluation.rating_report import report_ratings
from cmml_tf.evaluation.rating_systems import fit_rating_system
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
from cmml_tf.types import FeatureColumn


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    config = user_config(argv, __doc__)
    if config is None:
        return 0
    if is_served(config.strategy):
        serve_cluster()
    strategy = open_strategy(config.strategy)
    start = time.monotonic()
    warn_of_export(Path(config.export_dir))
    print(f"Data: {config.data}")
    with chief_first(strategy):
        user_run = prepare(config, writes=is_chief(strategy))
    data, folder = user_run.data, user_run.folder.path
    for what, count in data.counts.items():
        print(f"  {what}: {count:,}")
    for side, columns in (("item", data.item_columns), ("user", data.user_columns)):
        print(f"  {side} features: {', '.join(map(_described, columns)) or 'none'}")
    if is_chief(strategy):
        _save_meta_test(folder / "meta_test_tasks.csv", data)
    print(f"Run folder: {folder}")

    model = _train(strategy, user_run)
    if is_chief(strategy):
        _finish(user_run, model, start)
    wait_for_all(strategy)  # a process that ended earlier would look like a lost one
    return 0


def _finish(user_run: UserRun, model: CMML, start: float) -> None:
    """Evaluates, writes what that gave, then exports."""
    folder = user_run.folder.path
    seconds = {"train": round(time.monotonic() - start, 3)}
    report = report_ratings(model, user_run.data)
    metrics = report.metrics() | {"counts": user_run.data.counts}
    file = save_metrics(folder, metrics | {"seconds": seconds})
    print(f"\n{report.table(user_run.config.preset)}\n\nMetrics: {file}", flush=True)
    exported = export_finished(folder, lambda facts: user_run.export(model, facts))
    seconds["total"] = round(time.monotonic() - start, 3)
    save_metrics(folder, metrics | {"export": str(exported.version), "seconds": seconds})
    print(described(exported))


def _train(strategy: tf.distribute.Strategy, user_run: UserRun) -> CMML:
    config = user_run.config
    with strategy.scope():
        model = user_run.model()
    result = fit_rating_system(
        model,
        user_run.data,
        config.episode,
        config.training,
        config.seed,
        user_run.folder.path / "model",
        config.max_minutes,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    if result.resumed_from:
        print(f"Resumed behind epoch {result.resumed_from}.")
    # What is evaluated and exported has ordinary variables.
    return model if config.strategy == "none" else user_run.trained()


def _described(column: FeatureColumn) -> str:
    feature = column.feature
    size = f", {len(feature.vocabulary):,} values" if feature.vocabulary else ""
    return f"{feature.name} ({feature.kind}{size})"


def _save_meta_test(file: Path, data: RatingData) -> None:
    """The meta-test tasks as raw ids; the last lines of each user are its query."""
    tasks = data.meta_test
    user = np.repeat(data.user_ids[tasks.user], tasks.lengths)
    left = np.repeat(tasks.starts[1:], tasks.lengths) - np.arange(len(tasks.item))
    role = np.where(left <= data.query, "query", "support")
    columns = zip(user, data.item_ids[tasks.item], tasks.rating, role, strict=True)
    lines = [f"{u},meta_test,{i},{r:g},{part}\n" for u, i, r, part in columns]
    write_whole(file, "user,part,movie,rating,role\n" + "".join(lines))


if __name__ == "__main__":
    command_line.run(main)
