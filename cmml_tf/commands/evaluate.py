"""Evaluates the saved run of a folder again, on its own saved tasks.

cmml evaluate runs/cmml-matching-movielens-small-0
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from cmml_tf.program import Arguments


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("run_dir", type=Path, help="folder of a finished run, of any setting")
    folder = parser.parse_args(argv).run_dir

    from cmml_tf.settings.named import SETTINGS
    from cmml_tf.settings.run import evaluate_again
    from cmml_tf.training.run_folder import load_config, setting_of

    setting = SETTINGS[setting_of(folder)]
    config = load_config(folder, setting.form.options.config)
    evaluate_again(setting, dataclasses.replace(config, run_dir=str(folder)), print)
    return 0
