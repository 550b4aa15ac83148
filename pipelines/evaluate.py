"""Evaluates the saved run of a folder again, on its own saved episodes.

python pipelines/evaluate.py runs/cmml-ridge-movielens-small-0
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from command_line import run
from scenario_run import ScenarioRun, prepare

from cmml_tf.config import ModelConfig
from cmml_tf.evaluation.scenario_report import report_scenarios
from cmml_tf.models.cmml import CMML
from cmml_tf.training.checkpoint import restore_best_weights
from cmml_tf.training.run_folder import load_config, write_whole


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run_dir", type=Path, help="folder that train_scenario.py has written")
    arguments = parser.parse_args(argv)
    config = dataclasses.replace(load_config(arguments.run_dir), run_dir=str(arguments.run_dir))
    scenario_run = prepare(config)
    report = report_scenarios(
        _trained(scenario_run, config.model, "model"),
        _trained(scenario_run, scenario_run.no_context_config(), "no_context"),
        scenario_run.meta_test,
    )
    metrics = report.metrics() | {"episodes_hash": scenario_run.meta_test.fingerprint()}
    file = arguments.run_dir / "evaluation.json"
    write_whole(file, json.dumps(metrics, indent=2))
    report.model.scenario_table().to_csv(arguments.run_dir / "meta_test_scenarios.csv", index=False)
    print(f"\n{report.table(config.preset)}\n\nMetrics: {file}")
    return 0


def _trained(scenario_run: ScenarioRun, config: ModelConfig, name: str) -> CMML:
    model = scenario_run.model(config)
    restore_best_weights(model, scenario_run.folder.path / name / "checkpoints")
    return model


if __name__ == "__main__":
    run(main)
