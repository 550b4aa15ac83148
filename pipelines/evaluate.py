"""Evaluates the saved run of a folder again, on its own saved episodes.

python pipelines/evaluate.py runs/cmml-ridge-movielens-small-0
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from command_line import run
from scenario_run import prepare

from cmml_tf.evaluation.scenario_report import report_scenarios
from cmml_tf.files import write_whole
from cmml_tf.training.run_folder import load_config
from cmml_tf.user_config import UserRunConfig


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run_dir", type=Path, help="folder that train_scenario.py has written")
    arguments = parser.parse_args(argv)
    config = load_config(arguments.run_dir)
    if isinstance(config, UserRunConfig):
        raise ValueError(
            f"`run_dir` must be a run of train_scenario.py. Received: {arguments.run_dir}, a run "
            "of train_user.py, which evaluates its model itself."
        )
    scenario_run = prepare(dataclasses.replace(config, run_dir=str(arguments.run_dir)))
    report = report_scenarios(
        scenario_run.trained(),
        scenario_run.trained(scenario_run.no_context_config(), "no_context"),
        scenario_run.meta_test,
    )
    metrics = report.metrics() | {"episodes_hash": scenario_run.meta_test.fingerprint()}
    file = arguments.run_dir / "evaluation.json"
    write_whole(file, json.dumps(metrics, indent=2))
    table = report.model.scenario_table()
    write_whole(arguments.run_dir / "meta_test_scenarios.csv", table.to_csv(index=False))
    print(f"\n{report.table(config.preset)}\n\nMetrics: {file}")
    return 0


if __name__ == "__main__":
    run(main)
