"""Contextual Modulation Meta Learning (CMML, CIKM 2021) for cold-start recommendation.

Importing the package settles the Keras generation, where Keras 2 is installed, and nothing else;
the public names below load their modules at first use, so that `cmml_tf.client` works without
TensorFlow and the data layer without starting it.
"""

import importlib
from typing import Any

from cmml_tf.installation import prefer_legacy_keras, require_tensorflow

prefer_legacy_keras()

__version__ = "0.1.0"

_PUBLIC = {
    "compare": "cmml_tf.api",
    "fit": "cmml_tf.api",
    "load": "cmml_tf.api",
    "scenario_data": "cmml_tf.api",
    "user_data": "cmml_tf.api",
    "Run": "cmml_tf.settings.finished_run",
    "CMML": "cmml_tf.models.cmml",
    "Episode": "cmml_tf.types",
    "EpisodeConfig": "cmml_tf.config",
    "ModelConfig": "cmml_tf.config",
    "TrainingConfig": "cmml_tf.config",
    "build_model": "cmml_tf.models.build",
    "export_model": "cmml_tf.serving.export",
    "model_preset": "cmml_tf.experiments.forms",
    "support_from_clicks": "cmml_tf.client.clicks",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cmml_tf' has no attribute {name!r}")
    if _PUBLIC[name] == "cmml_tf.api":  # a module, which has no package to say it for it
        require_tensorflow(f"cmml_tf.{name}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
