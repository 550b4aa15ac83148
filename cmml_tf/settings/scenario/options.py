"""How the options of a scenario run come about: preset, schedule, smoke run. No TensorFlow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmml_tf.config import SCHEDULES, EpisodeConfig, ScenarioRunConfig, SplitConfig
from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.datasets.check_source import FeatureSource, check_scenario_source
from cmml_tf.datasets.safe_files.matrix_file import require_matrix
from cmml_tf.models.presets.scenario import PRESETS, Preset, find_preset


class ScenarioOptions:
    """The configuration that a preset stands for; see `RunOptions`.

    Args:
      presets: Models by name.
    """

    config = ScenarioRunConfig
    common = (
        *(
            "data",
            "items",
            "users",
            "kinds",
            "preset",
            "schedule",
            "seed",
            "run_dir",
            "continue_from",
            "export_dir",
            "max_minutes",
            "quick",
        ),
        *("scenario.definition", "scenario.min_items", "scenario.min_interactions"),
        *("split.protocol", "split.time"),
        *("read.columns", "read.max_malformed", "training.max_epochs"),
    )

    def __init__(self, presets: Mapping[str, Preset] = PRESETS) -> None:
        self.presets = presets

    def base(self, preset: str | None, schedule: str | None) -> ScenarioRunConfig:
        """The model of a preset with its schedule, or with another one."""
        key, found = find_preset(self.presets, preset or ScenarioRunConfig.preset)
        named = schedule or found.schedule
        if named not in SCHEDULES:
            raise ValueError(
                f"`schedule` must be one of {', '.join(SCHEDULES)}. Received: schedule={named!r}."
            )
        chosen = SCHEDULES[named]
        return ScenarioRunConfig(
            preset=key,
            model=found.model,
            schedule=named,
            training=chosen.training,
            episode=chosen.episode(EpisodeConfig()),
            split=chosen.split(SplitConfig()),
        )

    def check_sources(self, config: ScenarioRunConfig | ComparisonConfig) -> None:
        """See `check_scenario_source`; files of embeddings must be there, too."""
        features = FeatureSource(config.items, config.users, config.kinds)
        check_scenario_source(config.data, config.read, features)
        for file in (config.embedding.user_file, config.embedding.item_file):
            if file is not None:
                require_matrix(Path(file))

    def quick(self, base: ScenarioRunConfig) -> dict[str, Any]:
        """A small encoder, few steps, few questions."""
        changes: dict[str, Any] = {
            "curve": {"draws": 1, "most_asked": 200},
            "episode": {"tasks_per_step": 4},
            "training": {"steps_per_epoch": 25, "max_epochs": 3},
        }
        if base.model.encoder in ("gru", "mean", "max", "attention"):
            changes["model"] = {"encoder_units": 32}
        return changes
