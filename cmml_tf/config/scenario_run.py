"""One run of the scenario setting."""

from dataclasses import dataclass, field

from cmml_tf.config.checks import PositiveFloat, Seed, check, require
from cmml_tf.config.data import EmbeddingConfig, ReadConfig, ScenarioConfig, SplitConfig
from cmml_tf.config.episode import EpisodeConfig
from cmml_tf.config.model import RECOMMENDED, ModelConfig
from cmml_tf.config.schedules import RECOMMENDED_SCHEDULE, SCHEDULES
from cmml_tf.config.training import Strategy, TrainingConfig, check_strategy
from cmml_tf.request_limits import DEFAULT_LIMITS, RequestLimits


@dataclass(frozen=True)
class ScenarioRunConfig:
    """One run of `cmml train scenario`, from raw data to an exported model."""

    data: str = "movielens-small"
    """`movielens-small`, `insteval`, a GroupLens name to download (ml-1m, ...), a folder, a table
    file, or `planted[:OPTION=VALUE,...]`: synthetic scenarios (options of `planted_scenarios`)."""
    preset: str = "cmml-ridge"
    """The model; `cmml presets` says when to take which, `--help-all` names them all."""
    schedule: str = RECOMMENDED_SCHEDULE
    """Training schedule: the preset's own unless given; `default`, `closed-form`, `adaptive` (a
    closed form beside a network), `eager` (encoders that adapt), or `paper` (1 task, 1e-4)."""
    seed: Seed = 0
    """Fixes data split, sampling and initial weights."""
    run_dir: str | None = None
    """Folder of this run; none: runs/<preset>-<data>-<seed>. An unfinished run there is resumed."""
    export_dir: str = "export"
    """Model base path: a new version folder appears in it."""
    hash_user_ids: str | None = None
    """File with a secret key: the export holds keyed hashes of the user ids instead of the ids
    (docs/serving.md)."""
    limits: RequestLimits = DEFAULT_LIMITS
    """The largest request that the export admits."""
    max_minutes: PositiveFloat | None = None
    """Training stops after this many minutes; evaluation and export still happen."""
    strategy: Strategy = "none"
    """Who shares a training step: `none` (this process alone), `mirrored` (the GPUs of this
    machine), `multiworker` or `parameter-server` (the processes in TF_CONFIG; docs/scaling.md)."""
    quick: bool = False
    """A smoke run of about a minute: few steps, small encoder."""
    read: ReadConfig = field(default_factory=ReadConfig)
    scenario: ScenarioConfig = field(default_factory=ScenarioConfig)
    split: SplitConfig = field(
        default_factory=lambda: SCHEDULES[RECOMMENDED_SCHEDULE].split(SplitConfig())
    )
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    model: ModelConfig = RECOMMENDED
    episode: EpisodeConfig = field(
        default_factory=lambda: SCHEDULES[RECOMMENDED_SCHEDULE].episode(EpisodeConfig())
    )
    training: TrainingConfig = SCHEDULES[RECOMMENDED_SCHEDULE].training

    def __post_init__(self) -> None:
        check(self)
        names = ", ".join(SCHEDULES)
        require(self.schedule in SCHEDULES, self, "schedule", f"one of {names}")
        check_strategy(self.strategy, self.training)
