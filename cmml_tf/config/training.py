"""Optimiser, stopping rule, who shares a step; and schedules, which set these and tasks by name."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, get_args

from cmml_tf.config.checks import (
    FROM_0_BELOW_1,
    INSIDE_0_1,
    ZERO_OR_MORE,
    PositiveFloat,
    PositiveInt,
    check,
)
from cmml_tf.config.episode import EpisodeConfig, RankingLoss
from cmml_tf.config.split import SplitConfig

Strategy = Literal["none", "mirrored", "multiworker", "parameter-server"]
"""Distribution of a training (docs/scaling.md)."""


@dataclass(frozen=True)
class TrainingConfig:
    """Optimiser, schedule and stopping rule (algorithm 1).

    The defaults take 4 tasks a step at a learning rate of 1e-3 and average the weights; the paper's
    values are `paper` in `SCHEDULES`.
    """

    learning_rate: PositiveFloat = 1e-3
    """First learning rate of Adam."""
    weight_decay: Annotated[float, ZERO_OR_MORE] = 1e-5
    """L2 factor added to the gradient (as PyTorch's Adam does; not AdamW)."""
    gradient_clip: PositiveFloat | None = None
    """Gradient values are clipped to [-c, c]; none: not clipped."""
    weight_average: Annotated[float, FROM_0_BELOW_1] = 0.998
    """Momentum of the running average of the weights that is evaluated and kept; 0: none."""
    steps_per_epoch: PositiveInt = 200
    """Training steps between two looks at the validation scenarios."""
    max_epochs: PositiveInt = 20
    """Epochs at the most."""
    steps_per_task: PositiveInt | None = None
    """Training steps at the most for each task that is learned from; none: no such limit."""
    early_stopping_patience: PositiveInt = 6
    """Epochs without a better validation Recall@20 before training stops."""
    plateau_patience: PositiveInt = 2
    """Epochs without a better validation Recall@20 before the learning rate falls."""
    plateau_factor: Annotated[float, INSIDE_0_1] = 0.2
    """What the learning rate is multiplied with on a plateau."""
    min_learning_rate: PositiveFloat = 1e-6
    """The learning rate never falls below this."""
    train_embeddings: bool = False
    """Train the user and item embeddings too (the paper freezes them)."""

    def __post_init__(self) -> None:
        check(self)


def check_strategy(strategy: str, training: TrainingConfig) -> None:
    """Refuses what cannot be trained together.

    Raises:
      ValueError: There is no such strategy, or weights are to be averaged with a parameter server.
    """
    options = get_args(Strategy)
    if strategy not in options:
        raise ValueError(
            f"`strategy` must be one of {', '.join(options)}. Received: strategy={strategy!r}."
        )
    if strategy == "parameter-server" and training.weight_average > 0:
        raise ValueError(
            "`weight_average` must be 0 with strategy=parameter-server: no process sees each step. "
            f"Received: weight_average={training.weight_average}."
        )


@dataclass(frozen=True)
class Schedule:
    """How training proceeds: what belongs together of training, episodes and split."""

    training: TrainingConfig = field(default_factory=TrainingConfig)
    tasks_per_step: int = EpisodeConfig.tasks_per_step
    query_positives: int = EpisodeConfig.query_positives
    validation_fraction: float = 0.1
    background_fraction: float | None = SplitConfig.background_fraction
    loss: RankingLoss = EpisodeConfig.loss
    query_negatives: int = EpisodeConfig.query_negatives
    varied_supports: int = EpisodeConfig.varied_supports

    def episode(self, base: EpisodeConfig) -> EpisodeConfig:
        """`base` with this schedule's sizes and loss."""
        return replace(
            base,
            tasks_per_step=self.tasks_per_step,
            query_positives=self.query_positives,
            loss=self.loss,
            query_negatives=self.query_negatives,
            varied_supports=self.varied_supports,
        )

    def split(self, base: SplitConfig) -> SplitConfig:
        """`base` with this schedule's shares of validation scenarios and of background users."""
        return replace(
            base,
            validation_fraction=self.validation_fraction,
            background_fraction=self.background_fraction,
        )


# For a closed-form head: cheap steps, many tasks in each, and not too many of them. Their number is
# fixed, so that every scenario is learned from.
_ADAPTIVE = Schedule(
    TrainingConfig(learning_rate=2e-3, weight_decay=1e-4, steps_per_epoch=400, max_epochs=4),
    tasks_per_step=8,
    query_positives=256,
    validation_fraction=0.0,
)

SCHEDULES: dict[str, Schedule] = {
    "default": Schedule(),
    "adaptive": _ADAPTIVE,
    # A closed form alone: the same with a loss for which no pair is ever far enough ahead.
    "closed-form": replace(_ADAPTIVE, loss="logistic"),
    # Supports of any size, as services have them; a fixed number of steps, as above, but fewer for
    # few scenarios, which are learned by heart. All pairs are learned from, except in `warm`: each
    # scenario has factors that its own pairs did not reach.
    "matching": Schedule(
        TrainingConfig(
            learning_rate=4e-3,
            weight_decay=1e-4,
            weight_average=0.99,
            steps_per_epoch=100,
            max_epochs=4,
            steps_per_task=20,
        ),
        tasks_per_step=8,
        validation_fraction=0.0,
        background_fraction=None,
        loss="softmax",
        query_negatives=8,
        varied_supports=768,
    ),
    # For a learned encoder and modulation, which must find out what a support set tells before the
    # backbone has learned the meta-training scenarios by heart: larger and fewer steps.
    "eager": Schedule(TrainingConfig(learning_rate=3e-3, steps_per_epoch=50), 8),
    # Section 4 and the authors' scripts.
    "paper": Schedule(
        TrainingConfig(learning_rate=1e-4, weight_average=0.0, steps_per_epoch=500), 1
    ),
}
"""Training schedules by name; `paper` is the paper's."""
RECOMMENDED_SCHEDULE = "matching"
"""That of the recommended preset."""
