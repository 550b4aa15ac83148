"""Systems of the scenario setting. No TensorFlow."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cmml_tf.config import SCHEDULES, EpisodeConfig
from cmml_tf.config.baselines import BASELINES
from cmml_tf.config.judging import SCENARIO_CONTROLS
from cmml_tf.models.presets.scenario import Preset
from cmml_tf.settings.systems import System, simple_systems


def _trained(label: str, schedule: str, **more: Any) -> System:
    chosen = SCHEDULES[schedule]
    return System(label, chosen.training, chosen.episode(EpisodeConfig()), **more)


def _baseline(label: str, name: str, **more: Any) -> System:
    return _trained(label, "default", baseline=BASELINES[name], **more)


SIMPLE_LABELS = dict(
    zip(
        SCENARIO_CONTROLS,
        ("ItemPop", "dot product", "dot + ItemPop", "item-kNN", "ALS fold-in", "random order"),
        strict=True,
    )
)
"""How tables spell what has no model, by its name in `metrics.json`."""


def scenario_systems(presets: Mapping[str, Preset]) -> dict[str, System]:
    """Systems of the scenario setting by name: simple ones, models and baselines."""
    return {
        **simple_systems(SIMPLE_LABELS),
        **{
            name: _trained(preset.label or name, preset.schedule, model=preset.model)
            for name, preset in presets.items()
        },
        "dcn": _baseline("DCN", "dcn"),
        "dcn-f": _baseline("DCN-F", "dcn-f", trained_as="dcn"),
        "conet": _baseline("CoNet", "conet"),
        # Gradients through an inner loop are clipped where its authors clip them.
        "s2meta": replace(
            _baseline("s2Meta", "s2meta"),
            training=replace(SCHEDULES["default"].training, gradient_clip=0.25),
        ),
    }
