"""Named models of the user setting, each with the training that goes with it."""

from dataclasses import dataclass, field, replace

from cmml_tf.config import ModelConfig, TrainingConfig
from cmml_tf.config.rating import RatingEpisodeConfig, RatingModelConfig, UserRunConfig

_FILM = RatingModelConfig()
_NETWORK = _FILM.network
_BACKBONE = ModelConfig(
    encoder="none",
    hybrid="none",
    modulation="none",
    backbone_units=_NETWORK.backbone_units,
    bias_initial_value=0.0,
)
# Biases from 0 are those of FiLM and sigmoid; others have no such option.
_NO_BIAS = ModelConfig.bias_initial_value
_LINEAR = replace(_NETWORK, modulation="linear", hyper_units=64, bias_initial_value=_NO_BIAS)
_SOFT_M = replace(
    _NETWORK,
    modulation="soft",
    hyper_units=128,
    backbone_units=(32, 32),
    bias_initial_value=_NO_BIAS,
)


@dataclass(frozen=True)
class RatingPreset:
    """A model, what it minimises on which tasks, its optimiser and who is held out for it.

    Attributes:
      validation_fraction: Share of the meta-training users kept for early stopping; 0: all are
        learned from, for all epochs.
    """

    model: RatingModelConfig
    episode: RatingEpisodeConfig = field(default_factory=RatingEpisodeConfig)
    training: TrainingConfig = field(default_factory=lambda: UserRunConfig().training)
    validation_fraction: float = 0.0


def _plain(network: ModelConfig) -> RatingPreset:
    return RatingPreset(replace(_FILM, network=network))


def _with_prior(network: ModelConfig) -> RatingPreset:
    return RatingPreset(
        replace(_FILM, network=network, context_prior=True),
        RatingEpisodeConfig(short_supports=0.15),
    )


RATING_PRESETS: dict[str, RatingPreset] = {
    # Section 4.2; Soft-M and linear as in the authors' classes, which know no other than the mean.
    "cmml-film": RatingPreset(_FILM),
    "cmml-soft-m": _plain(_SOFT_M),
    "cmml-linear": _plain(_LINEAR),
    "cmml-sigmoid": _plain(replace(_NETWORK, modulation="sigmoid")),
    "cmml-film-max": _plain(replace(_NETWORK, encoder="max")),
    "cmml-film-gru": _plain(replace(_NETWORK, encoder="gru", encoder_units=64)),
    # Not in the paper: the mean with a learned prior, for users with few ratings or none.
    "cmml-film-prior": _with_prior(_NETWORK),
    "cmml-soft-m-prior": _with_prior(_SOFT_M),
    # The backbone alone: what a context has to beat.
    "no-context": RatingPreset(RatingModelConfig(_BACKBONE)),
    # Not in the paper: a ridge regression in closed form on learned features of items, ids too.
    "ridge": RatingPreset(
        RatingModelConfig(ridge=True),
        RatingEpisodeConfig(loss="absolute", short_supports=0.25),
        replace(UserRunConfig().training, weight_average=0.998),
        validation_fraction=0.05,
    ),
}
"""Models of the user setting by name."""


def rating_preset_key(name: str) -> str:
    """The name as the table spells it: lower case, hyphens.

    Raises:
      ValueError: No preset has this name; the message lists them.
    """
    key = name.lower().replace("_", "-")
    if key not in RATING_PRESETS:
        raise ValueError(
            f"`preset` must be one of {', '.join(RATING_PRESETS)}. Received: preset={name!r}."
        )
    return key
