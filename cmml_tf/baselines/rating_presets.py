"""Settings of the systems that CMML is compared with in the user setting. No TensorFlow."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cmml_tf.baseline_config import DcnConfig, FineTuningConfig
from cmml_tf.config import TrainingConfig
from cmml_tf.user_config import RatingEpisodeConfig


def _require(condition: bool, config: Any, name: str, accepted: str) -> None:
    if not condition:
        value = getattr(config, name)
        raise ValueError(f"`{name}` must be {accepted}. Received: {name}={value!r}.")


@dataclass(frozen=True)
class MeluConfig:
    """MeLU (Lee et al. 2019), and with `adapt_embeddings` MetaCS-DNN (Bharadhwaj 2019).

    The defaults are MeLU's sizes and those of the paper's appendix 7.2.2.
    """

    units: tuple[int, ...] = (64, 64)
    """Hidden units of the network, layer by layer."""
    feature_dimension: int = 32
    """Size of the embedding of each feature."""
    adapt_embeddings: bool = False
    """Adapt the embedding rows of what a task has rated, too (MetaCS-DNN)."""
    inner_learning_rate: float = 0.01
    """Step size on a task's support set."""
    training_steps: int = 5
    """Gradient steps on the support set in training."""
    steps: int = 1
    """Gradient steps on the support set of a task that is only asked, as in MeLU's code."""
    second_order: bool = True
    """Train through the gradient steps (MAML); false: as if their gradients were constants."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", tuple(self.units))
        positive = len(self.units) > 0 and all(width >= 1 for width in self.units)
        _require(positive, self, "units", "one or more positive integers")
        for name in ("feature_dimension", "training_steps", "steps"):
            _require(getattr(self, name) >= 1, self, name, "a positive integer")
        rate = self.inner_learning_rate
        _require(rate > 0, self, "inner_learning_rate", "a positive number")


@dataclass(frozen=True)
class RatingDcnConfig:
    """DCN on content features, and with `fine_tuning` DCN-F (the paper's appendix 7.2.2)."""

    network: DcnConfig = field(default_factory=DcnConfig)
    """Sizes of cross and deep network."""
    projection: int = 64
    """Units of a linear layer between embeddings and network."""
    feature_dimension: int = 32
    """Size of the embedding of each feature."""
    fine_tuning: FineTuningConfig | None = None
    """How a task's support set is fine-tuned on; none: DCN, which does not adapt."""

    def __post_init__(self) -> None:
        for name in ("projection", "feature_dimension"):
            _require(getattr(self, name) >= 1, self, name, "a positive integer")


RatingBaselineConfig = MeluConfig | RatingDcnConfig
_WHOLE_SUPPORTS = RatingEpisodeConfig(short_supports=0.0)


@dataclass(frozen=True)
class RatingBaselinePreset:
    """A baseline and the training that goes with it.

    Attributes:
      model: Which one, and its sizes.
      training: Its optimiser and schedule.
      episode: Its tasks and loss.
      validation_fraction: Share of the meta-training users that early stopping looks at.
      trained_as: The baseline whose trained weights it takes; None: it is trained itself.
    """

    model: RatingBaselineConfig
    training: TrainingConfig
    episode: RatingEpisodeConfig = field(default_factory=lambda: _WHOLE_SUPPORTS)
    validation_fraction: float = 0.05
    trained_as: Literal["dcn"] | None = None


# Learning rate and tasks a step are the paper's; epochs end when validation no longer improves.
_TRAINING = TrainingConfig(
    learning_rate=3e-4,
    weight_decay=1e-5,
    gradient_clip=10.0,
    weight_average=0.998,
    steps_per_epoch=108,
    max_epochs=40,
)
_DCN = RatingDcnConfig()

RATING_BASELINES: dict[str, RatingBaselinePreset] = {
    "melu": RatingBaselinePreset(MeluConfig(), _TRAINING),
    "metacs-dnn": RatingBaselinePreset(MeluConfig(adapt_embeddings=True), _TRAINING),
    "dcn": RatingBaselinePreset(_DCN, _TRAINING),
    "dcn-f": RatingBaselinePreset(
        replace(_DCN, fine_tuning=FineTuningConfig(steps=5, learning_rate=2e-4)),
        _TRAINING,
        trained_as="dcn",
    ),
}
"""Baselines of the user setting by name."""
