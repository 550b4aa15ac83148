"""The user setting: rating prediction for new users."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

from cmml_tf.config.checks import (
    FROM_0_BELOW_1,
    FROM_0_TO_1,
    INSIDE_0_1,
    CountsFor,
    PositiveFloat,
    PositiveInt,
    Units,
    at_least,
    check,
    require,
)
from cmml_tf.config.judging import USER_CONTROLS, CurveConfig
from cmml_tf.config.model import ModelConfig
from cmml_tf.config.run import RunConfig
from cmml_tf.config.training import TrainingConfig

Split = Literal["warm-warm", "cold-warm"]
Loss = Literal["squared", "absolute"]
Kind = Literal["network", "ridge", "ordinal"]

_PAPER_NETWORK = ModelConfig(
    encoder="mean",
    encoder_units=64,
    hybrid="dot",
    modulation="film",
    hyper_units=256,
    backbone_units=(64, 64),
    bias_initial_value=0.0,
)


@dataclass(frozen=True)
class RatingModelConfig:
    """What the network is (paper sections 3 and 4.2). The defaults are the paper's CMML-FiLM."""

    network: Annotated[ModelConfig, CountsFor(kind=("network",))] = _PAPER_NETWORK
    """Encoder, hybrid context, modulation and backbone; read by the kind `network`."""
    kind: Kind = "network"
    """`network`, as in the paper; or, not in the paper, in closed form: `ridge` (a regression on
    each task's support) or `ordinal` (fold-ins and neighbours to a distribution of the levels)."""
    factor_sizes: Annotated[Units, CountsFor(kind=("ordinal",))] = (4, 12, 24)
    """`ordinal`: factors of each factor model."""
    factor_sweeps: Annotated[PositiveInt, CountsFor(kind=("ordinal",))] = 15
    """`ordinal`: sweeps of expectation and maximisation of each."""
    neighbours: Annotated[PositiveInt, CountsFor(kind=("ordinal",))] = 128
    """`ordinal`: ratings of a support that neighbours are sought among; of more the last ones."""
    kernel_items: Annotated[PositiveInt, CountsFor(kind=("ordinal",))] = 4096
    """`ordinal`: items, most rated first, that have neighbours by their ratings."""
    folds: Annotated[int, at_least(2), CountsFor(kind=("ordinal",))] = 5
    """`ordinal`: parts of the users; training tasks of one meet what was fitted without it."""
    combiner_units: Annotated[Units, CountsFor(kind=("ordinal",))] = (32, 32)
    """`ordinal`: hidden units of the MLP that weighs predictions, layer by layer."""
    ridge_features: Annotated[PositiveInt, CountsFor(kind=("ridge",))] = 16
    """Features k of an item that the ridge regression weighs for each user."""
    ridge_penalty: Annotated[PositiveFloat, CountsFor(kind=("ridge",))] = 10.0
    """First value of the penalty on each feature's weight; it is learned."""
    bias_penalty: Annotated[PositiveFloat, CountsFor(kind=("ridge",))] = 3.0
    """First value of the penalty on a user's offset; it is learned."""
    feature_dimension: Annotated[PositiveInt, CountsFor(kind=("network", "ridge"))] = 32
    """Size of the embedding of each feature."""
    context_prior: bool = False
    """Pooling encoders: a learned vector is pooled with the support, so that few ratings, or none,
    have a context of sense; not in the paper."""
    label_units: Annotated[PositiveInt, CountsFor(kind=("network",))] = 64
    """Hidden and output units of the MLP that reads a support rating."""
    factor_penalty: Annotated[PositiveFloat, CountsFor(kind=("ridge",))] = 10.0
    """`ridge`: L2 factor of the matrix factorisation that item ids start from."""
    factor_iterations: Annotated[PositiveInt, CountsFor(kind=("ridge",))] = 4
    """`ridge`: sweeps of that matrix factorisation."""

    def __post_init__(self) -> None:
        check(self)
        pooling = self.kind == "network" and self.network.encoder in ("mean", "max")
        accepted = "false unless the encoder is mean or max"
        require(pooling or not self.context_prior, self, "context_prior", accepted)
        if self.network.encoder in ("attention", "ridge"):
            raise ValueError(
                "`network.encoder` must be one of gru, mean, max, none in the user setting. "
                f"Received: network.encoder={self.network.encoder!r}."
            )
        for name in ("support_order", "affinity", "head", "positives_only"):
            value, accepted = getattr(self.network, name), getattr(_PAPER_NETWORK, name)
            if value != accepted:
                raise ValueError(
                    f"`network.{name}` must be {accepted!r} in the user setting, whose labels are "
                    f"ratings. Received: network.{name}={value!r}."
                )


@dataclass(frozen=True)
class RatingDataConfig:
    """Which users are learned from, which are asked, and what a task is (section 4.2)."""

    split: Split = "warm-warm"
    """`warm-warm`: random users are asked; `cold-warm`: trained on the earliest user ids."""
    meta_test_fraction: Annotated[float, INSIDE_0_1] = 0.2
    """Share of the users who are asked, where no list or task file names them."""
    cold_fraction: Annotated[float, INSIDE_0_1, CountsFor(split=("cold-warm",))] = 0.5
    """`cold-warm`: share of the users, by id from the first, that counts as cold."""
    meta_test_users: str | None = None
    """A text file with the id of one meta-test user a line."""
    tasks: str | None = None
    """A .csv of given tasks: columns user, part, movie, rating, role."""
    validation_fraction: Annotated[float, FROM_0_BELOW_1] = 0.05
    """Share of the meta-training users kept for early stopping; 0: all epochs, no such users."""
    lowest: float = 0.5
    """Lowest rating of the scale; one below it is refused."""
    highest: float = 5.0
    """Highest rating of the scale; one above it is refused."""
    query: PositiveInt = 10
    """Query ratings of a task; all others are its support."""
    min_ratings: int = 13
    """Users with fewer ratings are left out."""
    max_ratings: int = 100
    """Of more ratings this many are drawn at random."""

    def __post_init__(self) -> None:
        check(self)
        require(0 <= self.lowest < self.highest, self, "lowest", "zero or more, below highest")
        accepted = "larger than query: a task needs a support rating"
        require(self.min_ratings > self.query, self, "min_ratings", accepted)
        require(self.max_ratings >= self.min_ratings, self, "max_ratings", "at least min_ratings")
        if self.tasks is not None and self.meta_test_users is not None:
            raise ValueError(
                "`tasks` and `meta_test_users` must not be given together: a task file says itself "
                "who is asked. "
                f"Received: tasks={self.tasks!r}, meta_test_users={self.meta_test_users!r}."
            )


@dataclass(frozen=True)
class RatingEpisodeConfig:
    """How training tasks are drawn."""

    tasks_per_step: PositiveInt = 32
    """Tasks B of one training step."""
    short_supports: Annotated[float, FROM_0_TO_1] = 0.05
    """Share of the training tasks whose support is cut to a random length, zero included."""
    loss: Loss = "squared"
    """`squared` (the paper's mean squared error) or `absolute`."""

    def __post_init__(self) -> None:
        check(self)


# The paper's learning rate is 1e-4 to 3e-4 and its weight decay 1e-5, without an average.
NETWORK_TRAINING = TrainingConfig(
    learning_rate=1e-3,
    weight_decay=1e-4,
    gradient_clip=10.0,
    weight_average=0.9995,
    steps_per_epoch=108,
    max_epochs=16,
)
"""Training of a network."""

ORDINAL = RatingModelConfig(kind="ordinal")
"""Not in the paper: the ordinal model (preset `cmml-ordinal`), which is the default."""
ORDINAL_EPISODE = RatingEpisodeConfig(tasks_per_step=64, short_supports=0.6)
"""Its training tasks: most supports are cut short."""
ORDINAL_TRAINING = replace(
    NETWORK_TRAINING, learning_rate=3e-3, weight_decay=0.0, weight_average=0.998
)
"""Its training."""

RATING_SCHEDULES: dict[str, TrainingConfig | None] = {
    "default": None,
    "paper": TrainingConfig(
        learning_rate=1e-4,
        weight_decay=1e-5,
        gradient_clip=10.0,
        weight_average=0.0,
        steps_per_epoch=108,
        max_epochs=16,
    ),
}
"""Training schedules by name: `default` is the preset's own, `paper` that of section 4.2."""


@dataclass(frozen=True)
class UserRunConfig(RunConfig):
    """One run of `cmml train user`, from raw ratings to an exported model."""

    objective: Literal["rating"] = "rating"
    """`rating`: how a user rates; `ranking`: what a user takes."""
    preset: str = "cmml-ordinal"
    """The model; `cmml presets` says when to take which, `--help-all` names them all."""
    schedule: str = "default"
    """Training schedule: `default`, the preset's own, or `paper` (Adam at 1e-4, no average)."""
    run_dir: str | None = None
    """Folder of this run; none: runs/user-<preset>-<data>-<seed>. An unfinished run is resumed."""
    tasks: RatingDataConfig = RatingDataConfig(validation_fraction=0.0)
    model: RatingModelConfig = ORDINAL
    episode: RatingEpisodeConfig = ORDINAL_EPISODE
    curve: CurveConfig = field(default_factory=CurveConfig)
    training: TrainingConfig = ORDINAL_TRAINING

    schedules: ClassVar[Collection[str]] = RATING_SCHEDULES
    controls: ClassVar[Sequence[str]] = USER_CONTROLS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model.kind == "ordinal" and self.episode.loss != RatingEpisodeConfig.loss:
            raise ValueError(
                "`episode.loss` must be left at 'squared' with model.kind=ordinal, which learns a "
                f"distribution. Received: episode.loss={self.episode.loss!r}."
            )
