"""One run of the scenario setting."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from types import SimpleNamespace
from typing import ClassVar

from cmml_tf.config.data import EmbeddingConfig, FactorConfig, ScenarioConfig
from cmml_tf.config.episode import EpisodeConfig
from cmml_tf.config.judging import SCENARIO_CONTROLS, CurveConfig
from cmml_tf.config.model import MATCHING, ModelConfig
from cmml_tf.config.run import RunConfig
from cmml_tf.config.split import SplitConfig
from cmml_tf.config.training import RECOMMENDED_SCHEDULE, SCHEDULES, TrainingConfig

_PLAIN = SimpleNamespace(training=TrainingConfig(), episode=EpisodeConfig(), factors=FactorConfig())
"""Values that options have where they are not read."""


@dataclass(frozen=True)
class ScenarioRunConfig(RunConfig):
    """One run of `cmml train scenario`, from raw data to an exported model."""

    data: str = "movielens-small"
    """`movielens-small`, `insteval`, a GroupLens name to download (ml-1m, ...), a folder, a table
    file, or `planted[:OPTION=VALUE,...]`: synthetic scenarios (options of `planted_scenarios`)."""
    items: str | None = None
    """A table of features of items: a column `item`, all others features (docs/data.md). Items that
    no interaction has are items all the same. None: what the data set itself knows."""
    users: str | None = None
    """A table of features of users, likewise with a column `user`."""
    kinds: str | None = None
    """Kinds of features, `title=text,zip=categorical,code=none`, or a YAML file; of categorical,
    multi-hot, numeric, text, vector, none. Others are guessed."""
    preset: str = "cmml-matching"
    """The model; `cmml presets` says when to take which, `--help-all` names them all."""
    schedule: str = RECOMMENDED_SCHEDULE
    """Training schedule: the preset's own unless given; `matching`, `default`, `closed-form`,
    `adaptive` (a closed form beside a network), `eager` (encoders that adapt), or `paper` (1 task,
    1e-4)."""
    quick: bool = False
    """A smoke run of about a minute: few steps, small encoder."""
    scenario: ScenarioConfig = field(default_factory=ScenarioConfig)
    split: SplitConfig = field(
        default_factory=lambda: SCHEDULES[RECOMMENDED_SCHEDULE].split(SplitConfig())
    )
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    factors: FactorConfig = field(default_factory=FactorConfig)
    model: ModelConfig = MATCHING
    episode: EpisodeConfig = field(
        default_factory=lambda: SCHEDULES[RECOMMENDED_SCHEDULE].episode(EpisodeConfig())
    )
    curve: CurveConfig = field(default_factory=CurveConfig)
    training: TrainingConfig = SCHEDULES[RECOMMENDED_SCHEDULE].training

    def __post_init__(self) -> None:
        super().__post_init__()
        matches = self.model.encoder == "matching"
        not_read = (
            ("training.train_embeddings", "episode.short_supports", "episode.empty_supports")
            if matches
            else ("factors", "episode.varied_supports", "episode.query_negatives")
        )
        for name in not_read:
            value, default = (attrgetter(name)(one) for one in (self, _PLAIN))
            if value != default:
                raise ValueError(
                    f"`{name}` must be left at {default!r}: it counts with model.encoder="
                    f"{'others than matching' if matches else 'matching'} only. "
                    f"Received: {name}={value!r}, model.encoder={self.model.encoder!r}."
                )

    schedules: ClassVar[Collection[str]] = SCHEDULES
    controls: ClassVar[Sequence[str]] = SCENARIO_CONTROLS
