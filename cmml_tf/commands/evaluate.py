"""Evaluates a finished run again on its own saved tasks, or an export on a log.

cmml evaluate runs/cmml-matching-movielens-small-0
cmml evaluate export/3 --data new.parquet --json evaluation.json
cmml evaluate export/3 --data new.parquet --server localhost:8500

An export is asked through its SavedModel, or with --server through the server that serves it. It
stands beside itself without, with another's and with flipped support sets, and beside simple
systems that need nothing but the log; with the curve by size of the support, the shares of ids that
it knows, and how its scores are calibrated.
"""

import dataclasses
import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from cmml_tf.commands.operation.log_options import add_log_options, given_log
from cmml_tf.files import write_whole
from cmml_tf.program import Arguments, one_thread_an_operation
from cmml_tf.training.run_folder import load_config, setting_of


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("folder", type=Path, help="of a finished run, or with --data of an export")
    parser.add_argument("--data", metavar="LOG", help="of an export: as --data of a training")
    parser.add_argument("--server", metavar="HOST:PORT", help="of an export: who answers for it")
    parser.add_argument("--model-name", default="cmml", help="as the server calls the model")
    parser.add_argument("--json", type=Path, metavar="FILE", help="of an export: its metrics")
    add_log_options(parser)
    given = parser.parse_args(argv)
    if given.data is not None:
        return _evaluate_export(given)
    for name in ("server", "json", "items", "users", "option", "hash_user_ids"):
        if getattr(given, name):
            raise ValueError(
                f"`{name}` belongs to an export, which needs --data. Received: {name}="
                f"{getattr(given, name)!r} without it."
            )
    name = setting_of(given.folder)  # a folder of no run is refused before TensorFlow starts
    one_thread_an_operation()

    from cmml_tf.settings.named import SETTINGS
    from cmml_tf.settings.whole_run import evaluate_again

    setting = SETTINGS[name]
    config = load_config(given.folder, setting.form.options.config)
    evaluate_again(setting, dataclasses.replace(config, run_dir=str(given.folder)), print)
    return 0


def _evaluate_export(given: Namespace) -> int:
    log = given_log(given, given.data)

    from cmml_tf.operation.evaluation_run import evaluate_on_log

    evaluation = evaluate_on_log(given.folder, log, given.server, given.model_name, print)
    if given.json is not None:
        write_whole(given.json, json.dumps(evaluation, indent=2))
        print(f"\nMetrics: {given.json}")
    return 0
