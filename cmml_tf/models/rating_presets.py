"""Named models of the user setting, each with the training that goes with it."""

from dataclasses import dataclass, field, replace

from cmml_tf.config import TrainingConfig
from cmml_tf.user_config import RatingEpisodeConfig, RatingModelConfig, UserRunConfig

_FILM = RatingModelConfig()


@dataclass(frozen=True)
class RatingPreset:
    """A model, what it minimises on which tasks, and its optimiser."""

    model: RatingModelConfig
    episode: RatingEpisodeConfig = field(default_factory=RatingEpisodeConfig)
    training: TrainingConfig = field(default_factory=lambda: UserRunConfig().training)


def _network(**changes: object) -> RatingPreset:
    return RatingPreset(replace(_FILM, network=replace(_FILM.network, **changes)))


RATING_PRESETS: dict[str, RatingPreset] = {
    # Section 4.2; Soft-M and linear as in the authors' classes, which know no other than the mean.
    "cmml-film": RatingPreset(_FILM),
    "cmml-soft-m": _network(modulation="soft", hyper_units=128, backbone_units=(32, 32)),
    "cmml-linear": _network(modulation="linear", hyper_units=64),
    "cmml-sigmoid": _network(modulation="sigmoid"),
    "cmml-film-max": _network(encoder="max"),
    "cmml-film-gru": _network(encoder="gru", encoder_units=64),
    # The backbone alone: what a context has to beat.
    "no-context": _network(encoder="none", hybrid="none", modulation="none"),
    # Not in the paper: a ridge regression in closed form on learned features of items, ids too.
    "ridge": RatingPreset(
        RatingModelConfig(ridge=True),
        RatingEpisodeConfig(loss="absolute", short_supports=0.25),
        replace(UserRunConfig().training, weight_average=0.998),
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
