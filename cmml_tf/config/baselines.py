"""The systems that CMML is compared with, and the paper's values."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from cmml_tf.config.checks import ZERO_OR_MORE, PositiveFloat, PositiveInt, Units, check, require
from cmml_tf.config.rating import RatingEpisodeConfig
from cmml_tf.config.training import TrainingConfig

Optimizer = Literal["adam", "sgd"]


@dataclass(frozen=True)
class DcnConfig:
    """DCN: a cross network beside a deep one, without adaptation (appendix 7.2.1)."""

    cross_layers: PositiveInt = 3
    """Layers of the cross network."""
    deep_units: Units = (64, 64)
    """Hidden units of the deep network, layer by layer."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class FineTuningConfig:
    """DCN-F: the trained DCN fine-tuned on each task's support set (appendix 7.2.1)."""

    network: DcnConfig = DcnConfig()
    """The DCN that is fine-tuned."""
    steps: PositiveInt = 10
    """Gradient steps on a task's support set (MovieLens and hybrid 10, Taobao 5)."""
    learning_rate: PositiveFloat = 1e-3
    """Step size on the support set."""
    optimizer: Optimizer = "adam"
    """`adam` or `sgd`; the paper does not say. 10 plain steps of 0.001 change next to nothing."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class CoNetConfig:
    """CoNet: cross-connected networks of a target and a source domain (Hu et al. 2018)."""

    units: Units = (64, 32, 16, 8)
    """Hidden units of each network, layer by layer (CoNet's paper)."""
    l1: Annotated[float, ZERO_OR_MORE] = 1e-3
    """Factor of the transfer matrices' absolute values in the loss; makes them sparse."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class S2MetaConfig:
    """s2Meta: learned initial weights, update controllers and stop controller (Du et al. 2019)."""

    units: Units = (64, 32, 16)
    """Hidden units of the interaction model (MovieLens-20M; Taobao and hybrid 64, 64, 64)."""
    min_steps: Annotated[int, ZERO_OR_MORE] = 4
    """Inner steps at the least."""
    max_steps: PositiveInt = 20
    """Inner steps at the most."""
    controller_units: PositiveInt = 16
    """Hidden units of the LSTM that updates weights."""
    stop_units: PositiveInt = 16
    """Hidden units of the LSTM that decides to stop."""
    batch_pairs: PositiveInt = 64
    """Positive pairs of an inner step, each with a random negative."""
    second_order: bool = False
    """Whether training goes through the inner gradients; the authors' code takes them as given."""
    seed: int = 0
    """Fixes inner batches and random stops."""

    def __post_init__(self) -> None:
        check(self)
        require(self.min_steps <= self.max_steps, self, "min_steps", "at most max_steps")


BaselineConfig = DcnConfig | FineTuningConfig | CoNetConfig | S2MetaConfig
"""Any of the baselines."""

BASELINES: dict[str, BaselineConfig] = {
    "dcn": DcnConfig(),
    "dcn-f": FineTuningConfig(),
    "dcn-f-taobao": replace(FineTuningConfig(), steps=5),
    "conet": CoNetConfig(),
    "s2meta": S2MetaConfig(),
    "s2meta-taobao": S2MetaConfig(units=(64, 64, 64)),
    "s2meta-hybrid": S2MetaConfig(units=(64, 64, 64)),
}
"""Baselines of the scenario setting by name: MovieLens-20M, and by suffix the other data sets."""


@dataclass(frozen=True)
class MeluConfig:
    """MeLU (Lee et al. 2019), and with `adapt_embeddings` MetaCS-DNN (Bharadhwaj 2019).

    The defaults are MeLU's sizes and those of the paper's appendix 7.2.2.
    """

    units: Units = (64, 64)
    """Hidden units of the network, layer by layer."""
    feature_dimension: PositiveInt = 32
    """Size of the embedding of each feature."""
    adapt_embeddings: bool = False
    """Adapt the embedding rows of what a task has rated, too (MetaCS-DNN)."""
    inner_learning_rate: PositiveFloat = 0.01
    """Step size on a task's support set."""
    training_steps: PositiveInt = 5
    """Gradient steps on the support set in training."""
    steps: PositiveInt = 1
    """Gradient steps on the support set of a task that is only asked, as in MeLU's code."""
    second_order: bool = True
    """Train through the gradient steps (MAML); false: as if their gradients were constants."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class RatingDcnConfig:
    """DCN on content features, and with `fine_tuning` DCN-F (the paper's appendix 7.2.2)."""

    network: DcnConfig = field(default_factory=DcnConfig)
    """Sizes of cross and deep network."""
    projection: PositiveInt = 64
    """Units of a linear layer between embeddings and network."""
    feature_dimension: PositiveInt = 32
    """Size of the embedding of each feature."""
    fine_tuning: FineTuningConfig | None = None
    """How a task's support set is fine-tuned on; none: DCN, which does not adapt."""

    def __post_init__(self) -> None:
        check(self)


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
