"""Named models, each with the training that goes with it."""

from collections.abc import Mapping

from cmml_tf.config import ModelConfig
from cmml_tf.models.presets.scenario import PRESETS, Preset, find_preset


def model_preset(name: str, presets: Mapping[str, Preset] = PRESETS) -> ModelConfig:
    """The configuration of a model of the scenario setting.

    Args:
      name: For example `cmml-film`; case and underscores do not matter.
      presets: By name, if other ones than those of the library.

    Raises:
      ValueError: No preset has this name; the message lists them.
    """
    return find_preset(presets, name)[1].model
