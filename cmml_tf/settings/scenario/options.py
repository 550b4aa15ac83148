"""How the options of a scenario run come about: preset, schedule, smoke run. No TensorFlow."""

import dataclasses
from types import MappingProxyType
from typing import Any

from cmml_tf.config import SCHEDULES, ScenarioRunConfig
from cmml_tf.models.presets import MODEL_PRESETS, model_preset, preset_key, preset_schedule


class ScenarioOptions:
    """The configuration that a preset stands for; see `RunOptions`."""

    config = ScenarioRunConfig
    presets = tuple(MODEL_PRESETS)
    advice = MappingProxyType(
        {
            "cmml-ridge": "take it first: it adapts most, in closed form, and trains fastest",
            "cmml-film": "the paper's model, to compare with it; it reads little of a support",
            "cmml-film-plus": "the paper's encoder, changed so that its context is read",
            "cmml-soft-m": "the paper's soft modules, whose routes can be looked at",
            "cmml-film-ridge": "the closed form beside FiLM, where much is known of each scenario",
            "cmml-attention-query": "candidates attend to what the support says; costs most",
            "no-context": "the backbone alone: what a context has to beat",
        }
    )
    common = (
        *("data", "preset", "schedule", "seed", "run_dir", "export_dir", "max_minutes", "quick"),
        *("scenario.definition", "scenario.min_items", "scenario.min_interactions"),
        *("read.columns", "read.max_malformed", "training.max_epochs"),
    )

    def base(self, preset: str | None, schedule: str | None) -> ScenarioRunConfig:
        """The model of a preset with its schedule, or with another one."""
        preset = preset or ScenarioRunConfig.preset
        base = ScenarioRunConfig(
            preset=preset_key(preset),
            model=model_preset(preset),
            schedule=schedule or preset_schedule(preset),
        )
        chosen = SCHEDULES[base.schedule]
        return dataclasses.replace(
            base,
            training=chosen.training,
            episode=chosen.episode(base.episode),
            split=chosen.split(base.split),
        )

    def quick(self, base: ScenarioRunConfig) -> dict[str, Any]:
        """A small encoder and few steps."""
        changes: dict[str, Any] = {
            "episode": {"tasks_per_step": 4},
            "training": {"steps_per_epoch": 25, "max_epochs": 3},
        }
        if base.model.encoder not in ("none", "ridge"):
            changes["model"] = {"encoder_units": 32}
        return changes
