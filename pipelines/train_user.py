"""Trains CMML for new users (rating prediction), evaluates it beside means, and exports it.

python pipelines/train_user.py                                  # CMML-FiLM, movielens-small
python pipelines/train_user.py --data ml-1m --preset ridge --seed 1
python pipelines/train_user.py --data FOLDER --tasks.tasks FOLDER/user_tasks.csv
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from command_line import run
from user_command_line import user_config

from cmml_tf.datasets.open_rating_data import open_rating_data
from cmml_tf.datasets.rating_tasks import RatingData
from cmml_tf.evaluation.rating_report import report_ratings
from cmml_tf.evaluation.rating_systems import build_rating_cmml, fit_rating_system
from cmml_tf.models.cmml import CMML
from cmml_tf.serving.rating_export import export_rating_model
from cmml_tf.training.checkpoint import restore_best_weights
from cmml_tf.training.run_folder import RunFolder, environment, plain, write_whole
from cmml_tf.training.strategies import (
    chief_first,
    is_chief,
    is_served,
    open_strategy,
    serve_cluster,
    wait_for_all,
)
from cmml_tf.types import FeatureColumn
from cmml_tf.user_config import UserRunConfig


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    config = user_config(argv, __doc__)
    if config is None:
        return 0
    if is_served(config.strategy):
        serve_cluster()
    strategy = open_strategy(config.strategy)
    # The same command gives the same metrics: no operation may depend on thread timing.
    tf.config.experimental.enable_op_determinism()
    start = time.monotonic()
    print(f"Data: {config.data}")
    data = open_rating_data(config.data, config.tasks, config.seed)
    folder = RunFolder(_run_path(config), writes=is_chief(strategy))
    with chief_first(strategy):
        folder.claim(config)
        folder.check_data(data.fingerprint())
    for what, count in data.counts.items():
        print(f"  {what}: {count:,}")
    for side, columns in (("item", data.item_columns), ("user", data.user_columns)):
        print(f"  {side} features: {', '.join(map(_described, columns)) or 'none'}")
    if is_chief(strategy):
        _save_meta_test(folder.path / "meta_test_tasks.csv", data)
    print(f"Run folder: {folder.path}")

    model = _train(strategy, config, data, folder.path / "model")
    if is_chief(strategy):
        _finish(config, folder.path, data, model, start)
    wait_for_all(strategy)  # a process that ended earlier would look like a lost one
    return 0


def _finish(
    config: UserRunConfig, folder: Path, data: RatingData, model: CMML, start: float
) -> None:
    """Evaluates, exports, and writes the metrics."""
    trained = time.monotonic()
    report = report_ratings(model, data)
    metrics = report.metrics() | {"counts": data.counts}
    version = export_rating_model(
        model,
        Path(config.export_dir),
        data.user_ids,
        data.item_ids,
        scale=(config.tasks.lowest, config.tasks.highest),
        manifest={
            "config": plain(config),
            "data_fingerprint": data.fingerprint(),
            "environment": environment(),
            **metrics,
        },
    )
    seconds = {"train": round(trained - start, 3), "total": round(time.monotonic() - start, 3)}
    metrics |= {"export": str(version), "seconds": seconds}
    file = folder / "metrics.json"
    write_whole(file, json.dumps(metrics, indent=2))
    print(f"\n{report.table(config.preset)}\n\nMetrics: {file}\nExported: {version}")


def _train(
    strategy: tf.distribute.Strategy, config: UserRunConfig, data: RatingData, folder: Path
) -> CMML:
    def build() -> CMML:
        return build_rating_cmml(config.model, data, config.episode, config.training, config.seed)

    with strategy.scope():
        model = build()
    result = fit_rating_system(
        model,
        data,
        config.episode,
        config.training,
        config.seed,
        folder,
        config.max_minutes,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    if result.resumed_from:
        print(f"Resumed behind epoch {result.resumed_from}.")
    if config.strategy != "none":
        # What is evaluated and exported has ordinary variables.
        model = build()
        restore_best_weights(model, folder / "checkpoints")
    return model


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


def _run_path(config: UserRunConfig) -> Path:
    if config.run_dir is not None:
        return Path(config.run_dir)
    quick = "-quick" if config.quick else ""
    return Path("runs") / f"user-{config.preset}-{Path(config.data).name}-{config.seed}{quick}"


if __name__ == "__main__":
    run(main)
