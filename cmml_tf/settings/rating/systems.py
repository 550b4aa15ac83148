"""Systems of the user setting. No TensorFlow."""

from collections.abc import Mapping

from cmml_tf.config.baselines import RATING_BASELINES
from cmml_tf.config.judging import USER_CONTROLS
from cmml_tf.models.presets.rating import RatingPreset
from cmml_tf.settings.systems import System, simple_systems

SIMPLE_LABELS = dict(
    zip(
        USER_CONTROLS,
        (
            *("global mean", "user mean", "item mean + user bias"),
            *("item-kNN", "ALS fold-in", "item-kNN and ALS blended"),
        ),
        strict=True,
    )
)
"""How tables spell what has no model, by its name in `metrics.json`."""
_BASELINE_LABELS = {"melu": "MeLU", "metacs-dnn": "MetaCS-DNN", "dcn": "DCN", "dcn-f": "DCN-F"}


def rating_systems(presets: Mapping[str, RatingPreset]) -> dict[str, System]:
    """Systems of the user setting by name: simple ones, models and baselines."""
    return {
        **simple_systems(SIMPLE_LABELS),
        **{
            name: System(one.label or name, one.training, one.episode, model=one.model)
            for name, one in presets.items()
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
