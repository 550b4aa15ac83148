"""The ranking setting: what new users take, from what they have taken so far."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from cmml_tf.config.checks import (
    FROM_0_BELOW_1,
    FROM_0_TO_1,
    INSIDE_0_1,
    Bound,
    PositiveFloat,
    PositiveInt,
    at_least,
    check,
    require,
)
from cmml_tf.config.judging import RANKING_CONTROLS
from cmml_tf.config.run import RunConfig
from cmml_tf.config.split import UserSplitConfig
from cmml_tf.config.training import TrainingConfig

_SHARES = Bound(
    "one or more numbers, each at least 0 and below 1",
    lambda values: len(values) > 0 and all(0 <= value < 1 for value in values),
)
_SHRINKAGES = Bound(
    "one or more numbers of zero or more",
    lambda values: len(values) > 0 and all(value >= 0 for value in values),
)


@dataclass(frozen=True)
class RankingDataConfig:
    """Which users are asked."""

    tasks: str | None = None
    """A table of given tasks: columns known, user, item, role (`support` or `query`); its users are
    asked, all others are learned from."""
    meta_test_fraction: Annotated[float, INSIDE_0_1] = 0.2
    """Share of the users that is asked, 2,000 users at the most; by time, share of those who begin
    last. Not read with `tasks`."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class RankingModelConfig:
    """Which item-item tables the network mixes, and its size."""

    dropouts: Annotated[tuple[float, ...], _SHARES] = (0.5, 0.9, 0.97, 0.99)
    """Shares p of what a user has taken that each EDLAE table is fitted to do without."""
    shrinkages: Annotated[tuple[float, ...], _SHRINKAGES] = (0.0, 100.0, 300.0)
    """Each is added to the denominator of a table of cosines."""
    table_items: PositiveInt = 4000
    """Items in the tables at the most, the most taken ones; others are read as table items that
    stand in for them, and ranked by these and by how often they were taken. Memory grows with its
    square: the tables of 4,000 items take 0.6 GB, and as much of a temporary file for each fold
    while training."""
    content_penalty: PositiveFloat = 30.0
    """L2 factor of the regressions that foretell tables from features of items; read with
    `items`."""
    folds: Annotated[int, at_least(2, "a user must not be in the tables it is trained with")] = 5
    """Parts of the users that are learned from; the tables of a part are fitted without it."""
    weight_units: PositiveInt = 16
    """Hidden units between the context and the weights of the tables."""
    item_units: PositiveInt = 16
    """Hidden units of the backbone."""

    def __post_init__(self) -> None:
        check(self)

    @property
    def tables(self) -> int:
        """K: those of the dropouts and of the shrinkages, and two more of neighbours."""
        return len(self.dropouts) + len(self.shrinkages) + 2


@dataclass(frozen=True)
class RankingEpisodeConfig:
    """How training tasks are drawn."""

    tasks_per_step: PositiveInt = 32
    """Tasks B of one training step."""
    empty_supports: Annotated[float, FROM_0_BELOW_1] = 0.05
    """Share of the training tasks without a support."""
    large_supports: Annotated[float, FROM_0_TO_1] = 0.15
    """Share of those whose support is 80% of what the user has taken; sizes of all others are
    uniform in their logarithm."""
    whole_catalogue: PositiveInt = 50_000
    """Catalogues of more items are sampled: the softmax of a task is over what is taken and
    `sampled_items` others, which stand for all."""
    sampled_items: PositiveInt = 2000
    """Items drawn for each task then, with replacement, much taken ones more often."""

    def __post_init__(self) -> None:
        check(self)
        require(
            self.empty_supports + self.large_supports <= 1,
            self,
            "large_supports",
            "at most 1 - empty_supports",
        )


_TRAINING = TrainingConfig(
    learning_rate=4e-3,
    weight_decay=0.0,
    weight_average=0.99,
    steps_per_epoch=100,
    max_epochs=12,
)

RANKING_SCHEDULES: dict[str, TrainingConfig] = {"default": _TRAINING}
"""Training schedules by name."""


@dataclass(frozen=True)
class RankingRunConfig(RunConfig):
    """One run of `cmml train user --objective ranking`, from raw clicks to an exported model."""

    objective: Literal["ranking"] = "ranking"
    """`ranking`: what a user takes; `rating`: how a user rates."""
    preset: str = "table-mixture"
    """The model; `cmml presets` says when to take which."""
    schedule: str = "default"
    """Training schedule."""
    run_dir: str | None = None
    """Folder of this run; none: runs/ranking-<preset>-<data>-<seed>. An unfinished run is
    resumed."""
    items: str | None = None
    """A table of features of items: a column `item`, all others features (docs/data.md). Its items
    that nobody has taken are ranked, too, by what their features say; none: no features are
    read."""
    kinds: str | None = None
    """Kinds of features, `title=text,code=none`, or a YAML file; of categorical, multi-hot,
    numeric, text, vector, none. Others are guessed."""
    liked: float | None = None
    """Rows whose value is below this are left out, as ratings of what was not liked; none: every
    row says that its user has taken its item."""
    top_k: PositiveInt = 20
    """Items that the served model recommends."""
    tasks: RankingDataConfig = RankingDataConfig()
    split: UserSplitConfig = field(default_factory=UserSplitConfig)
    model: RankingModelConfig = RankingModelConfig()
    episode: RankingEpisodeConfig = RankingEpisodeConfig()
    training: TrainingConfig = _TRAINING

    schedules: ClassVar[Collection[str]] = RANKING_SCHEDULES
    controls: ClassVar[Sequence[str]] = RANKING_CONTROLS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tasks.tasks is not None and self.split.by_time:
            raise ValueError(
                "`tasks.tasks` must be none where users are asked by time: a file of tasks says "
                f"itself who is asked what. Received: tasks.tasks={self.tasks.tasks!r}, "
                f"split.protocol={self.split.protocol!r}, split.time={self.split.time!r}."
            )
