"""How the options of a ranking run come about: preset, schedule, smoke run. No TensorFlow."""

from dataclasses import replace
from typing import Any

from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.config.ranking import RANKING_SCHEDULES, RankingRunConfig
from cmml_tf.datasets.check_source import FeatureSource, check_ranking_source
from cmml_tf.models.presets.ranking import RANKING_PRESETS
from cmml_tf.models.presets.scenario import find_preset


class RankingOptions:
    """The configuration that a preset stands for; see `RunOptions`."""

    config = RankingRunConfig
    presets = RANKING_PRESETS
    common = (
        *(
            "data",
            "items",
            "kinds",
            "objective",
            "liked",
            "preset",
            "seed",
            "run_dir",
            "continue_from",
        ),
        *("export_dir", "max_minutes", "quick", "tasks.tasks", "tasks.meta_test_fraction"),
        *("split.protocol", "split.time"),
        *("read.columns", "read.max_malformed", "model.table_items", "top_k"),
        "training.max_epochs",
    )

    def base(self, preset: str | None, schedule: str | None) -> RankingRunConfig:
        """The model of a preset with its training, or with another schedule."""
        key, chosen = find_preset(self.presets, preset or RankingRunConfig.preset)
        base = RankingRunConfig(
            preset=key,
            schedule=schedule or RankingRunConfig.schedule,
            model=chosen.model,
            episode=chosen.episode,
            training=chosen.training,
        )
        return base if schedule is None else replace(base, training=RANKING_SCHEDULES[schedule])

    def check_sources(self, config: RankingRunConfig | ComparisonConfig) -> None:
        """See `check_ranking_source`."""
        features = FeatureSource(config.items, None, config.kinds)
        check_ranking_source(config.data, config.tasks.tasks, config.read, features)

    def quick(self, base: RankingRunConfig) -> dict[str, Any]:
        """Small tables and few steps."""
        del base
        return {
            "model": {"table_items": 300, "folds": 2},
            "training": {"steps_per_epoch": 30, "max_epochs": 2},
        }
