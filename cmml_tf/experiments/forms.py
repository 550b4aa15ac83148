"""The forms of the library's settings, rows of tables among their presets. No TensorFlow."""

from dataclasses import replace

from cmml_tf.config import ModelConfig
from cmml_tf.experiments.paper_rows import RATING_ROWS, SCENARIO_ROWS
from cmml_tf.models import presets
from cmml_tf.models.presets.rating import RATING_PRESETS
from cmml_tf.models.presets.scenario import PRESETS
from cmml_tf.settings.form import SettingForm
from cmml_tf.settings.ranking.form import RANKING
from cmml_tf.settings.rating.form import RATING
from cmml_tf.settings.rating.options import RatingOptions
from cmml_tf.settings.rating.systems import rating_systems
from cmml_tf.settings.scenario.form import SCENARIO
from cmml_tf.settings.scenario.options import ScenarioOptions
from cmml_tf.settings.scenario.systems import scenario_systems

_SCENARIO = {**PRESETS, **SCENARIO_ROWS}
_RATING = {**RATING_PRESETS, **RATING_ROWS}

FORMS: dict[str, SettingForm] = {
    "scenario": replace(
        SCENARIO, systems=scenario_systems(_SCENARIO), options=ScenarioOptions(_SCENARIO)
    ),
    "user": replace(RATING, systems=rating_systems(_RATING), options=RatingOptions(_RATING)),
    "ranking": RANKING,
}
"""`scenario`, `user` (ratings) and `ranking`."""


def model_preset(name: str) -> ModelConfig:
    """The configuration of a model of the scenario setting, rows of the paper's tables among them.

    Args:
      name: For example `cmml-film` or `se-mlp`; case and underscores do not matter.

    Raises:
      ValueError: No preset has this name; the message lists them.

    Example:

    >>> model_preset("CMML-Soft-M").backbone_units
    (32, 32, 64)
    """
    return presets.model_preset(name, _SCENARIO)
