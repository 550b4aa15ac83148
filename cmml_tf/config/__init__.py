"""Every option of the library: one frozen dataclass per thing, validated on construction.

Command lines map onto these classes; a field's comment below it is its help text, its annotation
says which values it accepts and for which models it counts. No TensorFlow here.
"""

from cmml_tf.config.data import (
    Alignment,
    EmbeddingConfig,
    FactorConfig,
    ReadConfig,
    ScenarioConfig,
)
from cmml_tf.config.episode import EpisodeConfig, RankingLoss
from cmml_tf.config.judging import CurveConfig
from cmml_tf.config.model import MATCHING, RIDGE, ModelConfig
from cmml_tf.config.override import override
from cmml_tf.config.scenario_run import ScenarioRunConfig
from cmml_tf.config.split import Moment, Protocol, SplitConfig
from cmml_tf.config.training import SCHEDULES, Schedule, Strategy, TrainingConfig, check_strategy

__all__ = [
    "MATCHING",
    "RIDGE",
    "SCHEDULES",
    "Alignment",
    "CurveConfig",
    "EmbeddingConfig",
    "EpisodeConfig",
    "FactorConfig",
    "ModelConfig",
    "Moment",
    "Protocol",
    "RankingLoss",
    "ReadConfig",
    "ScenarioConfig",
    "ScenarioRunConfig",
    "Schedule",
    "SplitConfig",
    "Strategy",
    "TrainingConfig",
    "check_strategy",
    "override",
]
