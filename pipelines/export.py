"""Exports the model of a finished run once more, without training or evaluating it.

python pipelines/export.py runs/cmml-ridge-movielens-small-0
python pipelines/export.py runs/user-ridge-ml-1m-0 --export-dir /models/cmml

For runs of train_scenario.py and train_user.py whose export failed, or belongs elsewhere too. A
model base path that has a version of this very model keeps it, and gets no other.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import command_line
import scenario_run
import user_run
from run_end import described, export_finished

from cmml_tf.training.run_folder import load_config
from cmml_tf.user_config import UserRunConfig


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dir", type=Path, help="folder that a training command has written")
    parser.add_argument("--export-dir", metavar="DIR", help="model base path; none: the run's own")
    arguments = parser.parse_args(argv)
    config = load_config(arguments.run_dir)
    changes = {} if arguments.export_dir is None else {"export_dir": arguments.export_dir}
    config = dataclasses.replace(config, run_dir=str(arguments.run_dir), strategy="none", **changes)
    prepare = user_run.prepare if isinstance(config, UserRunConfig) else scenario_run.prepare
    finished = prepare(config)
    model = finished.trained()
    exported = export_finished(arguments.run_dir, lambda facts: finished.export(model, facts))
    print(described(exported))
    return 0


if __name__ == "__main__":
    command_line.run(main)
