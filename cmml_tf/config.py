"""Every setting of the library: one frozen dataclass per thing, validated on construction.

The command lines map onto these classes; a field's comment below it is its help text. This module
imports no TensorFlow.
"""

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from cmml_tf.config_checks import require as _require
from cmml_tf.model_config import RECOMMENDED, ModelConfig
from cmml_tf.request_limits import DEFAULT_LIMITS, RequestLimits

Strategy = Literal["none", "mirrored", "multiworker", "parameter-server"]
Alignment = Literal["pad", "project"]
RankingLoss = Literal["hinge", "logistic"]
_PAIR = r"\s*(user|item|value|scenario)\s*=[^,=]*[^,=\s][^,=]*"
_NAMED = re.compile(rf"{_PAIR}(,{_PAIR})*")


@dataclass(frozen=True)
class EpisodeConfig:
    """How tasks are sampled (paper section 2; support and query sizes of section 4)."""

    support_positives: int = 64
    """Positive support pairs of a task."""
    support_negatives: int = 128
    """Negative support pairs: the user of a positive with another item of the scenario."""
    query_positives: int = 128
    """Positive query pairs of a task; each is compared with one negative of the same user."""
    tasks_per_step: int = 4
    """Tasks B of one training step (the authors take one)."""
    short_supports: float = 0.0
    """Share of the training tasks whose support is cut to a random size, zero included."""
    empty_supports: float = 0.0
    """Share of the training tasks without any support (context dropout)."""
    sub_scenarios: int = 0
    """Random parts of each meta-training scenario, half of its items, that are learned from too."""
    loss: RankingLoss = "hinge"
    """What is minimised over the pairs of a query positive and its negative: `hinge` (the paper's
    equation 4) or `logistic` (not in the paper)."""

    def __post_init__(self) -> None:
        for name in ("support_positives", "query_positives", "tasks_per_step"):
            _require(getattr(self, name) >= 1, self, name, "a positive integer")
        for name in ("support_negatives", "sub_scenarios"):
            _require(getattr(self, name) >= 0, self, name, "zero or more")
        for name in ("short_supports", "empty_supports"):
            _require(0 <= getattr(self, name) <= 1, self, name, "between 0 and 1")
        _require(self.loss in get_args(RankingLoss), self, "loss", "hinge or logistic")

    @property
    def support_size(self) -> int:
        """S, the support pairs of a task."""
        return self.support_positives + self.support_negatives

    @property
    def query_size(self) -> int:
        """Q, the query pairs of a training task, positives and negatives."""
        return 2 * self.query_positives


@dataclass(frozen=True)
class TrainingConfig:
    """Optimiser, schedule and stopping rule (algorithm 1).

    The defaults take 4 tasks a step at a learning rate of 1e-3 and average the weights; the paper's
    values are `paper` in `SCHEDULES`.
    """

    learning_rate: float = 1e-3
    """First learning rate of Adam."""
    weight_decay: float = 1e-5
    """L2 factor added to the gradient (as PyTorch's Adam does; not AdamW)."""
    gradient_clip: float | None = None
    """Gradient values are clipped to [-c, c]; none: not clipped."""
    weight_average: float = 0.998
    """Momentum of the running average of the weights that is evaluated and kept; 0: none."""
    steps_per_epoch: int = 200
    """Training steps between two looks at the validation scenarios."""
    max_epochs: int = 20
    """Epochs at the most."""
    early_stopping_patience: int = 6
    """Epochs without a better validation Recall@20 before training stops."""
    plateau_patience: int = 2
    """Epochs without a better validation Recall@20 before the learning rate falls."""
    plateau_factor: float = 0.2
    """What the learning rate is multiplied with on a plateau."""
    min_learning_rate: float = 1e-6
    """The learning rate never falls below this."""
    train_embeddings: bool = False
    """Train the user and item embeddings too (the paper freezes them)."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "min_learning_rate"):
            _require(getattr(self, name) > 0, self, name, "a positive number")
        for name in ("steps_per_epoch", "max_epochs"):
            _require(getattr(self, name) >= 1, self, name, "a positive integer")
        for name in ("early_stopping_patience", "plateau_patience"):
            _require(getattr(self, name) >= 1, self, name, "a positive integer")
        _require(self.weight_decay >= 0, self, "weight_decay", "zero or more")
        _require(0 <= self.weight_average < 1, self, "weight_average", "at least 0 and below 1")
        _require(0 < self.plateau_factor < 1, self, "plateau_factor", "between 0 and 1")
        _require(
            self.gradient_clip is None or self.gradient_clip > 0,
            self,
            "gradient_clip",
            "a positive number or none",
        )


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

    training: TrainingConfig = TrainingConfig()
    tasks_per_step: int = EpisodeConfig.tasks_per_step
    query_positives: int = EpisodeConfig.query_positives
    validation_fraction: float = 0.1
    loss: RankingLoss = EpisodeConfig.loss

    def episode(self, base: EpisodeConfig) -> EpisodeConfig:
        """`base` with this schedule's sizes and loss."""
        return replace(
            base,
            tasks_per_step=self.tasks_per_step,
            query_positives=self.query_positives,
            loss=self.loss,
        )

    def split(self, base: "SplitConfig") -> "SplitConfig":
        """`base` with this schedule's share of validation scenarios."""
        return replace(base, validation_fraction=self.validation_fraction)


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
    # For a learned encoder and modulation, which must find out what a support set tells before the
    # backbone has learned the meta-training scenarios by heart: larger and fewer steps.
    "eager": Schedule(TrainingConfig(learning_rate=3e-3, steps_per_epoch=50), 8),
    # Section 4 and the authors' scripts.
    "paper": Schedule(
        TrainingConfig(learning_rate=1e-4, weight_average=0.0, steps_per_epoch=500), 1
    ),
}
"""Training schedules by name; `paper` is the paper's."""
_RECOMMENDED_SCHEDULE = "closed-form"


@dataclass(frozen=True)
class ReadConfig:
    """How logs and tables are read."""

    block_mb: float = 32.0
    """Megabytes of text in memory at a time; their columns take about as much again."""
    max_malformed: int = 0
    """Lines that do not parse are left out and counted, up to this number; then it is an error."""
    columns: str | None = None
    """What a table of one's own calls its columns, where that is neither their name nor an alias:
    `user=customer_id,item=sku`; of user, item, value, scenario. `--columns` for short."""

    def __post_init__(self) -> None:
        _require(0 < self.block_mb <= 1024, self, "block_mb", "above 0 and at most 1024")
        _require(self.max_malformed >= 0, self, "max_malformed", "zero or more")
        _require(
            self.columns is None or (_NAMED.fullmatch(self.columns) and len(self.given) > 0),
            self,
            "columns",
            "NAME=COLUMN with commas between, each NAME once of user, item, value, scenario",
        )

    @property
    def given(self) -> dict[str, str]:
        """Name of a column -> what the table calls it; empty where a name stands twice."""
        pairs = [pair.split("=", 1) for pair in (self.columns or "").split(",") if pair]
        given = {name.strip(): called.strip() for name, called in pairs}
        return given if len(given) == len(pairs) else {}

    @property
    def block_bytes(self) -> int:
        """Bytes of a block, 1 at the least."""
        return max(1, int(self.block_mb * 2**20))


@dataclass(frozen=True)
class ScenarioConfig:
    """What a scenario is, and which ones are large enough to learn from."""

    definition: str = "genre-combination"
    """`genre`, `genre-combination`, `genre-decade`, `tag`, or `column:NAME` of the data."""
    min_value: float | None = None
    """Interactions below this value are no positives; none: all are, as in the paper."""
    min_items: int = 20
    """Items of a scenario at the least."""
    max_items: int = 1000
    """Items of a scenario at the most."""
    min_interactions: int = 300
    """Interactions of a scenario at the least."""

    def __post_init__(self) -> None:
        named = ("genre", "genre-combination", "genre-decade", "tag")
        column = self.definition.removeprefix("column:")
        _require(
            self.definition in named or (self.definition.startswith("column:") and column != ""),
            self,
            "definition",
            f"one of {', '.join(named)} or column:NAME",
        )
        _require(
            self.min_items >= 2, self, "min_items", "at least 2 (a negative needs another item)"
        )
        _require(self.max_items >= self.min_items, self, "max_items", "at least min_items")
        _require(self.min_interactions >= 4, self, "min_interactions", "at least 4")


@dataclass(frozen=True)
class SplitConfig:
    """Who is trained on, who is asked (SPEC of the protocol: README, "How it is evaluated")."""

    meta_test_fraction: float = 0.25
    """Share of the scenarios kept for the final evaluation."""
    validation_fraction: float = 0.1
    """Share of the remaining scenarios kept for early stopping and the learning rate."""
    evaluation_user_fraction: float = 0.5
    """Share of the users who are only ever asked: none of their pairs reaches training."""
    background_fraction: float = 0.5
    """Share of a scenario's users whose pairs only fit the pre-trained embeddings."""
    max_support_pairs: int = 512
    """Support pairs a held-out scenario has at the most."""

    def __post_init__(self) -> None:
        for name in ("meta_test_fraction", "evaluation_user_fraction"):
            _require(0 < getattr(self, name) < 1, self, name, "between 0 and 1")
        for name in ("validation_fraction", "background_fraction"):
            _require(0 <= getattr(self, name) < 1, self, name, "at least 0 and below 1")
        _require(self.max_support_pairs >= 1, self, "max_support_pairs", "a positive integer")


@dataclass(frozen=True)
class EmbeddingConfig:
    """The pre-trained user and item embeddings (paper section 3.1)."""

    dimension: int = 64
    """Size of a user and of an item embedding (MovieLens 64, Taobao 128)."""
    user_file: str | None = None
    """A .npy file of user embeddings, row by row as the vocabulary; none: matrix factorisation."""
    item_file: str | None = None
    """A .npy file of item embeddings."""
    regularization: float = 100.0
    """L2 factor of the matrix factorisation."""
    alpha: float = 10.0
    """Confidence of an observed pair in implicit-feedback ALS (Hu, Koren, Volinsky 2008)."""
    iterations: int = 15
    """ALS sweeps."""
    root_mean_square: float = 0.25
    """Users and items are each scaled to this root mean square per element."""

    def __post_init__(self) -> None:
        for name in ("dimension", "iterations"):
            _require(getattr(self, name) >= 1, self, name, "a positive integer")
        for name in ("alpha", "root_mean_square"):
            _require(getattr(self, name) > 0, self, name, "a positive number")
        _require(self.regularization >= 0, self, "regularization", "zero or more")
        if (self.user_file is None) != (self.item_file is None):
            raise ValueError(
                "`user_file` and `item_file` must be given together. "
                f"Received: user_file={self.user_file!r}, item_file={self.item_file!r}."
            )


@dataclass(frozen=True)
class ScenarioRunConfig:
    """One run of `pipelines/train_scenario.py`, from raw data to an exported model."""

    data: str = "movielens-small"
    """`movielens-small`, a GroupLens name to download (ml-1m, ...), a folder, a table file, or
    `planted[:OPTION=VALUE,...]`: synthetic scenarios (options of `planted_scenarios`)."""
    preset: str = "cmml-ridge"
    """The model: `cmml-ridge`, a row of the paper's tables, or another that `--help` lists."""
    schedule: str = _RECOMMENDED_SCHEDULE
    """Training schedule: the preset's own unless given; `default`, `closed-form`, `adaptive` (a
    closed form beside a network), `eager` (encoders that adapt), or `paper` (1 task, 1e-4)."""
    seed: int = 0
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
    max_minutes: float | None = None
    """Training stops after this many minutes; evaluation and export still happen."""
    strategy: Strategy = "none"
    """Who shares a training step: `none` (this process alone), `mirrored` (the GPUs of this
    machine), `multiworker` or `parameter-server` (the processes in TF_CONFIG; docs/scaling.md)."""
    quick: bool = False
    """A smoke run of about a minute: few steps, small encoder."""
    read: ReadConfig = field(default_factory=ReadConfig)
    scenario: ScenarioConfig = field(default_factory=ScenarioConfig)
    split: SplitConfig = field(
        default_factory=lambda: SCHEDULES[_RECOMMENDED_SCHEDULE].split(SplitConfig())
    )
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    model: ModelConfig = RECOMMENDED
    episode: EpisodeConfig = field(
        default_factory=lambda: SCHEDULES[_RECOMMENDED_SCHEDULE].episode(EpisodeConfig())
    )
    training: TrainingConfig = SCHEDULES[_RECOMMENDED_SCHEDULE].training

    def __post_init__(self) -> None:
        names = ", ".join(SCHEDULES)
        _require(self.schedule in SCHEDULES, self, "schedule", f"one of {names}")
        check_strategy(self.strategy, self.training)
        _require(self.seed >= 0, self, "seed", "zero or a positive integer")
        _require(
            self.max_minutes is None or self.max_minutes > 0,
            self,
            "max_minutes",
            "a positive number or none",
        )


def override(config: Any, changes: dict[str, Any]) -> Any:
    """A copy of a (nested) dataclass with the fields of a (nested) dictionary replaced.

    Raises:
      ValueError: A key names no field, or a value does not pass the class's validation.
    """
    names = {f.name for f in fields(config)}
    values = {}
    for name, value in changes.items():
        if name not in names:
            raise ValueError(
                f"`{name}` is not an option of {type(config).__name__}. "
                f"Accepted: {', '.join(sorted(names))}."
            )
        current = getattr(config, name)
        if hasattr(current, "__dataclass_fields__"):
            if not isinstance(value, dict):
                raise ValueError(
                    f"`{name}` must be a group of options. Received: {name}={value!r}."
                )
            value = override(current, value)
        values[name] = value
    return replace(config, **values)
