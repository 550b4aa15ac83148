"""What one system costs with a number of inner steps; figure 2 starts it alone.

python -m cmml_tf.experiments.inner_step_cost COMPARISON_FOLDER SYSTEM STEPS RESULT_FILE
"""

import json
from collections.abc import Sequence
from pathlib import Path

from cmml_tf.experiments.comparison_folder import load_comparison
from cmml_tf.experiments.own_process import end_with_parent
from cmml_tf.files import write_whole
from cmml_tf.program import Arguments, run
from cmml_tf.training.run_folder import RunFolder

_SEED = 0


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("system")
    parser.add_argument("steps", type=int, help="0 for a system without inner steps")
    parser.add_argument("result", type=Path)
    arguments = parser.parse_args(argv)
    end_with_parent()
    steps = arguments.steps or None
    config = load_comparison(arguments.out)

    # Imported here: TensorFlow starts with them.
    from cmml_tf.experiments.comparison_run import open_data
    from cmml_tf.experiments.inner_steps import measure_inner_steps
    from cmml_tf.settings.named import SETTINGS

    setting = SETTINGS[config.setting]
    shared = RunFolder(arguments.out / f"seed-{_SEED}")
    data = open_data(setting, config, _SEED)
    shared.check_data(data.fingerprint(), config, config.setting, config.free_to_change)
    prepared = setting.prepare(data, shared.path, config, _SEED)
    cost = measure_inner_steps(setting, arguments.system, steps, prepared, _SEED)
    write_whole(arguments.result, json.dumps(cost._asdict()))
    return 0


if __name__ == "__main__":
    run(main)
