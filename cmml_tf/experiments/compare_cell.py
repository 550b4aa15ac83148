"""One system with one seed of a comparison; a comparison starts it in a process of its own.

python -m cmml_tf.experiments.compare_cell COMPARISON_FOLDER SYSTEM SEED
"""

from collections.abc import Sequence
from pathlib import Path

from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.experiments.comparison_cell import Cell, CellResult
from cmml_tf.experiments.comparison_folder import load_comparison
from cmml_tf.experiments.own_process import end_with_parent
from cmml_tf.program import Arguments, one_thread_an_operation, run
from cmml_tf.training.run_folder import RunFolder, environment


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
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
    one_thread_an_operation()
    # Imported here: TensorFlow starts with them.
    import tensorflow as tf

    from cmml_tf.experiments.comparison_run import open_data, run_system
    from cmml_tf.settings.named import SETTINGS

    # The same command gives the same metrics: no operation may depend on thread timing.
    tf.config.experimental.enable_op_determinism()
    setting = SETTINGS[config.setting]
    data = open_data(setting, config, cell.seed)
    shared.check_data(data.fingerprint(), config, config.setting, config.free_to_change)
    prepared = setting.prepare(data, shared.path, config, cell.seed)
    trainings = shared.path / "trainings"
    result = run_system(setting, cell.system, prepared, config, cell.seed, trainings)
    return result, data.fingerprint()


if __name__ == "__main__":
    run(main)
