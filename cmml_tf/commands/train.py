"""Training of any setting as a command."""

import sys
from collections.abc import Sequence
from pathlib import Path

from cmml_tf.commands.options import run_config
from cmml_tf.files import check_folder
from cmml_tf.hashed_ids import read_user_id_key
from cmml_tf.program import one_thread_an_operation
from cmml_tf.settings.form import SettingForm


def train(form: SettingForm, argv: Sequence[str], description: str) -> int:
    """From options to an exported model; the exit status.

    Args:
      form: Of the setting.
      argv: The command line.
      description: Of the command.
    """
    config = run_config(argv, description, form.options)
    if config is None:
        return 0
    form.options.check_sources(config)
    read_user_id_key(config.hash_user_ids)
    if config.run_dir is not None:
        check_folder(Path(config.run_dir))
    one_thread_an_operation()
    # Imported when options and paths are known to be right: TensorFlow starts here.
    from cmml_tf.settings.named import SETTINGS
    from cmml_tf.settings.whole_run import run_from_data_to_export

    verbose = 1 if sys.stdout.isatty() else 2
    run_from_data_to_export(SETTINGS[form.name], config, print, verbose)
    return 0
