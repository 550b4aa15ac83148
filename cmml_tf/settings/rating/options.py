"""How the options of a user run come about: preset, schedule, smoke run. No TensorFlow."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.config.rating import RATING_SCHEDULES, RatingDataConfig, UserRunConfig
from cmml_tf.datasets.check_source import check_rating_source
from cmml_tf.models.presets.rating import RATING_PRESETS, RatingPreset
from cmml_tf.models.presets.scenario import find_preset


class RatingOptions:
    """The configuration that a preset stands for; see `RunOptions`.

    Args:
      presets: Models by name.
    """

    config = UserRunConfig
    common = (
        *("data", "preset", "schedule", "seed", "run_dir", "continue_from", "export_dir"),
        *("max_minutes", "quick"),
        *("tasks.tasks", "tasks.lowest", "tasks.highest", "tasks.query", "read.columns"),
        *("read.max_malformed", "training.max_epochs"),
    )

    def __init__(self, presets: Mapping[str, RatingPreset] = RATING_PRESETS) -> None:
        self.presets = presets

    def base(self, preset: str | None, schedule: str | None) -> UserRunConfig:
        """The model of a preset with its training, or with another schedule."""
        key, chosen = find_preset(self.presets, preset or UserRunConfig.preset)
        base = UserRunConfig(
            preset=key,
            schedule=schedule or UserRunConfig.schedule,
            tasks=RatingDataConfig(validation_fraction=chosen.validation_fraction),
            model=chosen.model,
            episode=chosen.episode,
        )
        return replace(base, training=RATING_SCHEDULES[base.schedule] or chosen.training)

    def check_sources(self, config: UserRunConfig | ComparisonConfig) -> None:
        """See `check_rating_source`."""
        check_rating_source(config.data, config.read, config.tasks)

    def quick(self, base: UserRunConfig) -> dict[str, Any]:
        """Few steps, few questions, and small factor models."""
        changes: dict[str, Any] = {
            "curve": {"draws": 1, "most_asked": 200},
            "training": {"steps_per_epoch": 20, "max_epochs": 2},
        }
        if base.model.kind == "ordinal":
            changes["model"] = {"factor_sizes": (4,), "factor_sweeps": 3, "folds": 2}
        return changes
