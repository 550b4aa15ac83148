"""Systems of the user setting. No TensorFlow."""

from cmml_tf.config.baselines import RATING_BASELINES
from cmml_tf.models.rating_presets import RATING_PRESETS
from cmml_tf.settings.systems import PRESET_LABELS, System

_BASELINE_LABELS = {"melu": "MeLU", "metacs-dnn": "MetaCS-DNN", "dcn": "DCN", "dcn-f": "DCN-F"}

RATING_SYSTEMS: dict[str, System] = {
    "global-mean": System("global mean"),
    "user-mean": System("user mean"),
    "item-mean": System("item mean + user bias"),
    **{
        name: System(
            PRESET_LABELS.get(name, name), preset.training, preset.episode, model=preset.model
        )
        for name, preset in RATING_PRESETS.items()
    },
    **{
        name: System(
            label,
            RATING_BASELINES[name].training,
            RATING_BASELINES[name].episode,
            RATING_BASELINES[name].trained_as,
            baseline=RATING_BASELINES[name].model,
        )
        for name, label in _BASELINE_LABELS.items()
    },
}
"""Systems of the user setting by name."""
