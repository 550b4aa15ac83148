"""Optimiser, schedule, stopping rule, and who shares a step."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from cmml_tf.config.checks import (
    FROM_0_BELOW_1,
    INSIDE_0_1,
    ZERO_OR_MORE,
    PositiveFloat,
    PositiveInt,
    check,
)

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
