"""What a comparison is: systems, data, seeds, budget. No TensorFlow."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cmml_tf.config import (
    Alignment,
    EmbeddingConfig,
    ReadConfig,
    ScenarioConfig,
    SplitConfig,
    override,
)
from cmml_tf.training.run_folder import read_record
from cmml_tf.user_config import RatingDataConfig

_EXTENT = ("systems", "seeds", "out", "only_finished")
_OF_SCENARIOS = ("hybrid_with", "alignment", "read", "scenario", "split", "embedding")
Setting = Literal["scenario", "user"]


@dataclass(frozen=True)
class ComparisonConfig:
    """One comparison: every system on the same saved episodes of each seed."""

    systems: str = "item-pop,no-context,cmml-film,cmml-ridge"
    """Names with commas between them; the help lists them all."""
    data: str = "movielens-small"
    """A name, folder or table, as the training commands take it."""
    hybrid_with: str | None = None
    """A second data set: the scenarios of both, as the paper's hybrid Movie-Taobao."""
    alignment: Alignment = "pad"
    """What happens to the smaller embeddings of a hybrid: `pad` or `project`."""
    setting: Setting = "scenario"
    """`scenario`: ranking in unseen scenarios; `user`: ratings of unseen users."""
    seeds: int = 5
    """Seeds 0, 1, ... of data split, episodes and initial weights."""
    steps: int | None = None
    """Training steps of a system at the most; none: its whole schedule."""
    tasks_per_step: int | None = None
    """Tasks of a training step; none: as each system's schedule says."""
    only_finished: bool = False
    """Run nothing: a table of what is finished so far, which may be fewer seeds of some systems."""
    out: str | None = None
    """Folder of the comparison; none: runs/compare-<setting>-<data>. What is in it is continued."""
    read: ReadConfig = field(default_factory=ReadConfig)
    scenario: ScenarioConfig = field(default_factory=ScenarioConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    tasks: RatingDataConfig = field(default_factory=RatingDataConfig)

    def __post_init__(self) -> None:
        if self.setting not in ("scenario", "user"):
            raise ValueError(
                f"`setting` must be scenario or user. Received: setting={self.setting!r}."
            )
        for name in ("seeds", "steps", "tasks_per_step"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value}.")

    @property
    def free_to_change(self) -> tuple[str, ...]:
        """What may be another when a comparison is continued: its extent, and what is not read."""
        not_read = _OF_SCENARIOS if self.setting == "user" else ("tasks",)
        return (*_EXTENT, *not_read, "read.block_mb", "read.max_malformed")


def load_comparison(out: Path) -> ComparisonConfig:
    """The configuration of a comparison's folder.

    Raises:
      ValueError: Its file is missing or damaged.
    """
    return override(ComparisonConfig(), read_record(out / "config.yaml"))
