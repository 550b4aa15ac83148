"""What one system costs with a number of inner steps; reproduce.py figure2 starts it alone.

python pipelines/inner_step_cost.py COMPARISON_FOLDER SYSTEM STEPS RESULT_FILE
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from command_line import run
from own_process import end_with_parent

from cmml_tf.config import EpisodeConfig
from cmml_tf.evaluation.comparison_config import load_comparison
from cmml_tf.files import write_whole
from cmml_tf.training.run_folder import RunFolder

_SEED = 0


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("out", type=Path)
    parser.add_argument("system")
    parser.add_argument("steps", type=int, help="0 for a system without inner steps")
    parser.add_argument("result", type=Path)
    arguments = parser.parse_args(argv)
    end_with_parent()
    steps = arguments.steps or None
    config = load_comparison(arguments.out)

    # Imported here: TensorFlow starts with them.
    from cmml_tf.datasets.open_rating_data import open_rating_data
    from cmml_tf.evaluation.inner_steps import measure_rating_steps, measure_scenario_steps
    from cmml_tf.evaluation.scenario_parts import open_scenarios, scenario_parts

    if config.setting == "user":
        data = open_rating_data(config.data, config.tasks, _SEED, read=config.read)
        cost = measure_rating_steps(arguments.system, steps, data, _SEED)
    else:
        shared = RunFolder(arguments.out / f"seed-{_SEED}")
        data = open_scenarios(config, _SEED)
        shared.check_data(data.fingerprint(), config, config.free_to_change)
        parts = scenario_parts(data, shared.path, config.embedding, EpisodeConfig(), _SEED)
        cost = measure_scenario_steps(arguments.system, steps, parts, _SEED)
    write_whole(arguments.result, json.dumps(cost._asdict()))
    return 0


if __name__ == "__main__":
    run(main)
