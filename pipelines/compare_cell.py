"""One system with one seed of a comparison; compare.py starts it in a process of its own.

python pipelines/compare_cell.py COMPARISON_FOLDER SYSTEM SEED
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from command_line import run
from own_process import end_with_parent

from cmml_tf.evaluation.comparison_cell import Cell, CellResult
from cmml_tf.evaluation.comparison_config import ComparisonConfig, load_comparison
from cmml_tf.training.run_folder import RunFolder, environment


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("out", type=Path)
    parser.add_argument("system")
    parser.add_argument("seed", type=int)
    arguments = parser.parse_args(argv)
    end_with_parent()
    config = load_comparison(arguments.out)
    cell = Cell(arguments.system, arguments.seed)
    shared = RunFolder(arguments.out / f"seed-{cell.seed}")
    result, fingerprint = _run(cell, config, shared)
    cell.save(
        arguments.out, result, {"data_fingerprint": fingerprint, "environment": environment()}
    )
    return 0


def _run(cell: Cell, config: ComparisonConfig, shared: RunFolder) -> tuple[CellResult, str]:
    # Imported here: TensorFlow starts with them.
    import tensorflow as tf

    from cmml_tf.config import EpisodeConfig
    from cmml_tf.datasets.open_rating_data import open_rating_data
    from cmml_tf.evaluation.rating_systems import run_rating_system
    from cmml_tf.evaluation.scenario_parts import open_scenarios, scenario_parts
    from cmml_tf.evaluation.scenario_systems import run_scenario_system

    # The same command gives the same metrics: no operation may depend on thread timing.
    tf.config.experimental.enable_op_determinism()
    trainings = shared.path / "trainings"
    if config.setting == "user":
        data = open_rating_data(config.data, config.tasks, cell.seed, read=config.read)
        shared.check_data(data.fingerprint(), config, config.free_to_change)
        result = run_rating_system(cell.system, data, config, cell.seed, trainings)
    else:
        data = open_scenarios(config, cell.seed)
        shared.check_data(data.fingerprint(), config, config.free_to_change)
        episode = EpisodeConfig()
        parts = scenario_parts(data, shared.path, config.embedding, episode, cell.seed)
        result = run_scenario_system(cell.system, parts, config, cell.seed, trainings)
    return result, data.fingerprint()


if __name__ == "__main__":
    run(main)
