"""Systems of the ranking setting. No TensorFlow."""

from collections.abc import Mapping

from cmml_tf.config.judging import RANKING_CONTROLS
from cmml_tf.models.presets.ranking import RankingPreset
from cmml_tf.settings.systems import System, simple_systems

SIMPLE_LABELS = dict(
    zip(
        RANKING_CONTROLS,
        (
            *("popularity", "item-kNN", "EASE", "ALS fold-in", "Mult-VAE", "item-kNN + EASE"),
            "random order",
        ),
        strict=True,
    )
)
"""How tables spell what has no model, by its name in `metrics.json`."""


def ranking_systems(presets: Mapping[str, RankingPreset]) -> dict[str, System]:
    """Systems of the ranking setting by name: simple ones and models."""
    return {
        **simple_systems(SIMPLE_LABELS),
        **{
            name: System(one.label or name, one.training, one.episode, model=one.model)
            for name, one in presets.items()
        },
    }
