"""What every run has, whatever its setting: data, model, schedule, where results go."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from cmml_tf.config.checks import PositiveFloat, Seed, check, require
from cmml_tf.config.data import ReadConfig
from cmml_tf.config.judging import required_controls
from cmml_tf.config.training import Strategy, TrainingConfig, check_strategy
from cmml_tf.request_limits import DEFAULT_LIMITS, RequestLimits


@dataclass(frozen=True)
class RunConfig:
    """Fields of a run; a setting says which data, presets and schedules there are."""

    data: str = "movielens-small"
    """`movielens-small`, a GroupLens name to download (ml-1m, ...), a folder, or a table."""
    preset: str = ""
    """The model; `cmml presets` says when to take which, `--help-all` names them all."""
    schedule: str = "default"
    """Training schedule: the preset's own unless given."""
    seed: Seed = 0
    """Fixes data split, sampling and initial weights."""
    run_dir: str | None = None
    """Folder of this run; none: runs/<preset>-<data>-<seed>. An unfinished run there is resumed."""
    continue_from: str | None = None
    """Folder of a finished run of an earlier state of the data, or an export of one, to go on from
    (docs/retraining.md): rows of known ids stay, factors and weights start from its own, a fortieth
    of the steps."""
    export_dir: str | None = None
    """Model base path whose next version the model becomes; none: a candidate that no server reads,
    in export/candidates, which `cmml promote` compares with the served version (docs/serving.md).
    A smoke run is always a candidate."""
    hash_user_ids: str | None = None
    """File with a secret key: the export holds keyed hashes of the user ids instead of the ids
    (docs/serving.md)."""
    limits: RequestLimits = DEFAULT_LIMITS
    """The largest request that the export admits."""
    require: str | None = None
    """`better-than=twin,item_pop` or other controls (docs/runs.md): a model that is not better than
    each of them, beyond the interval, is not exported, and the exit status is 3."""
    max_minutes: PositiveFloat | None = None
    """Training stops after this many minutes; evaluation and export still happen."""
    strategy: Strategy = "none"
    """Who shares a training step: `none` (this process alone), `mirrored` (the GPUs of this
    machine), `multiworker` or `parameter-server` (the processes in TF_CONFIG; docs/scaling.md)."""
    quick: bool = False
    """A smoke run: few steps."""
    read: ReadConfig = field(default_factory=ReadConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    schedules: ClassVar[Collection[str]] = ()
    """Names of schedules that a setting has."""
    controls: ClassVar[Sequence[str]] = ()
    """Names of controls without a model that a setting has."""

    def __post_init__(self) -> None:
        check(self)
        names = ", ".join(self.schedules)
        require(self.schedule in self.schedules, self, "schedule", f"one of {names}")
        check_strategy(self.strategy, self.training)
        required_controls(self.require, self.controls)
