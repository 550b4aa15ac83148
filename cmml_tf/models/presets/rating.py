"""Named models of the user setting, each with the training that goes with it."""

from dataclasses import dataclass, field, replace
from typing import Any

from cmml_tf.config import ModelConfig, TrainingConfig
from cmml_tf.config.rating import (
    NETWORK_TRAINING,
    ORDINAL,
    ORDINAL_EPISODE,
    ORDINAL_TRAINING,
    RatingEpisodeConfig,
    RatingModelConfig,
)

FILM = RatingModelConfig()
NETWORK = FILM.network
_BACKBONE = ModelConfig(
    encoder="none",
    hybrid="none",
    modulation="none",
    backbone_units=NETWORK.backbone_units,
    bias_initial_value=0.0,
)
# Biases from 0 are those of FiLM and sigmoid; others have no such option.
NO_BIAS = ModelConfig.bias_initial_value
SOFT_M = replace(
    NETWORK,
    modulation="soft",
    hyper_units=128,
    backbone_units=(32, 32),
    bias_initial_value=NO_BIAS,
)


@dataclass(frozen=True)
class RatingPreset:
    """A model, what it minimises on which tasks, its optimiser and who is held out for it.

    Attributes:
      model, episode, training: Their configurations.
      validation_fraction: Share of the meta-training users kept for early stopping; 0: all are
        learned from, for all epochs.
      label: How tables spell it; empty: by its name.
      when: When to take it; empty for what a user does not choose between.
    """

    model: RatingModelConfig
    episode: RatingEpisodeConfig = field(default_factory=RatingEpisodeConfig)
    training: TrainingConfig = NETWORK_TRAINING
    validation_fraction: float = 0.0
    label: str = ""
    when: str = ""


PRIOR_EPISODE = RatingEpisodeConfig(short_supports=0.15)
"""With a learned prior more of the training tasks have a short support."""


def with_network(network: ModelConfig, **more: Any) -> RatingModelConfig:
    """The paper's model with another network."""
    return replace(FILM, network=network, **more)


RATING_PRESETS: dict[str, RatingPreset] = {
    # Not in the paper: factor models and neighbours, weighed to a distribution of the levels.
    "cmml-ordinal": RatingPreset(
        ORDINAL,
        ORDINAL_EPISODE,
        ORDINAL_TRAINING,
        label="CMML ordinal",
        when="item ids are known in training: lowest error from none to all ratings, intervals",
    ),
    # Not in the paper: the mean with a learned prior, for users with few ratings or none.
    "cmml-film-prior": RatingPreset(
        replace(FILM, context_prior=True),
        PRIOR_EPISODE,
        label="CMML-FiLM, learned prior",
        when="features alone, also where few ratings are known or none",
    ),
    # Not in the paper: a ridge regression in closed form on learned features of items, ids too.
    "ridge": RatingPreset(
        RatingModelConfig(kind="ridge"),
        RatingEpisodeConfig(loss="absolute", short_supports=0.25),
        replace(NETWORK_TRAINING, weight_average=0.998),
        validation_fraction=0.05,
        when="item ids are known in training: lowest error, in closed form",
    ),
    # Section 4.2; Soft-M as in the authors' classes, which know no other encoder than the mean.
    "cmml-film": RatingPreset(
        FILM, label="CMML-FiLM", when="the paper's model, to compare with the paper"
    ),
    "cmml-soft-m": RatingPreset(
        with_network(SOFT_M),
        label="CMML-Soft-M",
        when="the paper's soft modules, whose routes can be looked at",
    ),
    "no-context": RatingPreset(
        RatingModelConfig(_BACKBONE),
        label="MLP without context",
        when="the backbone alone: what a context has to beat",
    ),
}
"""Models of the user setting that a user chooses between, by name."""
