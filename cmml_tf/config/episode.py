"""How tasks of the scenario setting are sampled."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cmml_tf.config.checks import FROM_0_TO_1, ZERO_OR_MORE, CountsFor, PositiveInt, check

RankingLoss = Literal["hinge", "logistic", "softmax"]
"""What is asked of a positive pair against its negatives (docs/paper.md)."""


@dataclass(frozen=True)
class EpisodeConfig:
    """How tasks are sampled (paper section 2; support and query sizes of section 4)."""

    support_positives: PositiveInt = 64
    """Positive support pairs of a task."""
    support_negatives: Annotated[int, ZERO_OR_MORE] = 128
    """Negative support pairs: the user of a positive with another item of the scenario."""
    query_positives: PositiveInt = 128
    """Positive query pairs of a task; each is compared with negatives of the same user."""
    tasks_per_step: PositiveInt = 4
    """Tasks B of one training step (the authors take one)."""
    short_supports: Annotated[float, FROM_0_TO_1] = 0.0
    """Share of the training tasks whose support is cut to a random size, zero included."""
    empty_supports: Annotated[float, FROM_0_TO_1] = 0.0
    """Share of the training tasks without any support (context dropout)."""
    sub_scenarios: Annotated[int, ZERO_OR_MORE] = 0
    """Random parts of each meta-training scenario, half of its items, that are learned from too."""
    loss: RankingLoss = "hinge"
    """What is minimised over the pairs of a query positive and its negative: `hinge` (the paper's
    equation 4), `logistic` or, with several negatives, `softmax` (not in the paper)."""
    query_negatives: Annotated[PositiveInt, CountsFor(loss=("softmax",))] = 1
    """Negatives that each query positive is compared with."""
    varied_supports: Annotated[int, ZERO_OR_MORE] = 0
    """Most positive support pairs of a training task with any size of support (`matching`)."""

    def __post_init__(self) -> None:
        check(self)

    @property
    def support_size(self) -> int:
        """S, the support pairs of a task."""
        return self.support_positives + self.support_negatives
