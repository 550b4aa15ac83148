"""Where a run's model goes: into a base path if it was asked for, else to the candidates."""

from pathlib import Path
from typing import Any

from cmml_tf.serving.version.version_folder import CANDIDATES
from cmml_tf.settings.form import SettingForm


def export_place(form: SettingForm, config: Any) -> Path:
    """The folder that a run's version folder appears in.

    Without `export_dir` it is the folder of candidates below the setting's own model base path; of
    a smoke run, whose model is not meant to be served, that below whatever is configured.
    """
    base = Path(config.export_dir or form.export_base)
    return base / CANDIDATES if config.export_dir is None or config.quick else base
