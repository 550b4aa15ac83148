"""The settings of the library by name."""

from collections.abc import Mapping

from cmml_tf.settings.base import Setting
from cmml_tf.settings.ranking.setting import RankingSetting
from cmml_tf.settings.rating.setting import RatingSetting
from cmml_tf.settings.scenario.setting import ScenarioSetting

SETTINGS: Mapping[str, Setting] = {
    "scenario": ScenarioSetting(),
    "user": RatingSetting(),
    "ranking": RankingSetting(),
}
"""Each is one object without state."""
