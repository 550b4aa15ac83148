"""How the options of a user run come about: preset, schedule, smoke run. No TensorFlow."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from cmml_tf.config.rating import RATING_SCHEDULES, RatingDataConfig, UserRunConfig
from cmml_tf.models.rating_presets import RATING_PRESETS, rating_preset_key


class RatingOptions:
    """The configuration that a preset stands for; see `RunOptions`."""

    config = UserRunConfig
    presets = tuple(RATING_PRESETS)
    advice = MappingProxyType(
        {
            "cmml-film-prior": "features alone, also where few ratings are known or none",
            "ridge": "item ids are known in training: lowest error, in closed form",
            "cmml-film": "the paper's model, to compare with the paper",
            "cmml-soft-m": "the paper's soft modules, whose routes can be looked at",
            "no-context": "the backbone alone: what a context has to beat",
        }
    )
    common = (
        *("data", "preset", "schedule", "seed", "run_dir", "export_dir", "max_minutes", "quick"),
        *("tasks.tasks", "tasks.lowest", "tasks.highest", "tasks.query", "read.columns"),
        *("read.max_malformed", "training.max_epochs"),
    )

    def base(self, preset: str | None, schedule: str | None) -> UserRunConfig:
        """The model of a preset with its training, or with another schedule."""
        key = rating_preset_key(preset or UserRunConfig.preset)
        chosen = RATING_PRESETS[key]
        base = UserRunConfig(
            preset=key,
            schedule=schedule or UserRunConfig.schedule,
            tasks=RatingDataConfig(validation_fraction=chosen.validation_fraction),
            model=chosen.model,
            episode=chosen.episode,
        )
        return replace(base, training=RATING_SCHEDULES[base.schedule] or chosen.training)

    def quick(self, base: UserRunConfig) -> dict[str, Any]:
        """Few steps."""
        del base
        return {"training": {"steps_per_epoch": 20, "max_epochs": 2}}
