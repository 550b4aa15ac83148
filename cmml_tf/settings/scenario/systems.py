"""Systems of the scenario setting. No TensorFlow."""

from dataclasses import replace
from typing import Any

from cmml_tf.config import SCHEDULES, EpisodeConfig
from cmml_tf.config.baselines import BASELINES
from cmml_tf.models.presets import MODEL_PRESETS, preset_schedule
from cmml_tf.settings.systems import PRESET_LABELS, System


def _trained(label: str, schedule: str, **more: Any) -> System:
    chosen = SCHEDULES[schedule]
    return System(label, chosen.training, chosen.episode(EpisodeConfig()), **more)


def _baseline(label: str, name: str, **more: Any) -> System:
    return _trained(label, "default", baseline=BASELINES[name], **more)


SCENARIO_SYSTEMS: dict[str, System] = {
    "item-pop": System("ItemPop"),
    **{
        name: _trained(PRESET_LABELS.get(name, name), preset_schedule(name), model=model)
        for name, model in MODEL_PRESETS.items()
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
"""Systems of the scenario setting by name."""
