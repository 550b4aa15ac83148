"""What a comparison is: systems, data, seeds, budget."""

from dataclasses import dataclass, field
from typing import Literal

from cmml_tf.config.checks import PositiveInt, check
from cmml_tf.config.data import (
    Alignment,
    EmbeddingConfig,
    FactorConfig,
    ReadConfig,
    ScenarioConfig,
)
from cmml_tf.config.episode import EpisodeConfig
from cmml_tf.config.judging import CurveConfig
from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.config.split import SplitConfig

_EXTENT = ("systems", "seeds", "out", "only_finished")
_TABLES = ("items", "users", "kinds")
_OF_SCENARIOS = ("hybrid_with", "alignment", "scenario", "embedding", "factors")
Setting = Literal["scenario", "user", "ranking"]
_NOT_READ: dict[str, tuple[str, ...]] = {
    "scenario": ("tasks", "liked"),
    "user": (*_OF_SCENARIOS, "split"),
    "ranking": (*_OF_SCENARIOS, "curve"),
}


@dataclass(frozen=True)
class ComparisonConfig:
    """One comparison: every system on the same saved episodes of each seed."""

    systems: str = "item-pop,als-fold-in,cmml-film,cmml-ridge,cmml-matching"
    """Names with commas between them; the help lists them all."""
    data: str = "movielens-small"
    """A name, folder or table, as the training commands take it."""
    items: str | None = None
    """A table of features of items, as the training command of scenarios takes it."""
    users: str | None = None
    """A table of features of users."""
    kinds: str | None = None
    """Kinds of features."""
    hybrid_with: str | None = None
    """A second data set: the scenarios of both, as the paper's hybrid Movie-Taobao."""
    alignment: Alignment = "pad"
    """What happens to the smaller embeddings of a hybrid: `pad` or `project`."""
    setting: Setting = "scenario"
    """`scenario`: ranking in unseen scenarios; `user`: ratings of unseen users; `ranking`: what
    unseen users take."""
    liked: float | None = None
    """`ranking`: rows whose value is below this are left out."""
    seeds: PositiveInt = 5
    """Seeds 0, 1, ... of data split, episodes and initial weights."""
    steps: PositiveInt | None = None
    """Training steps of a system at the most; none: its whole schedule."""
    tasks_per_step: PositiveInt | None = None
    """Tasks of a training step; none: as each system's schedule says."""
    only_finished: bool = False
    """Run nothing: a table of what is finished so far, which may be fewer seeds of some systems."""
    out: str | None = None
    """Folder of the comparison; none: runs/compare-<setting>-<data>. What is in it is continued."""
    curve: CurveConfig = field(default_factory=CurveConfig)
    read: ReadConfig = field(default_factory=ReadConfig)
    scenario: ScenarioConfig = field(default_factory=ScenarioConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    factors: FactorConfig = field(default_factory=FactorConfig)
    tasks: RatingDataConfig = field(default_factory=RatingDataConfig)

    def __post_init__(self) -> None:
        check(self)
        if self.setting != "scenario" and self.hybrid_with is not None:
            raise ValueError(
                "`hybrid_with` must be none unless setting is scenario. "
                f"Received: hybrid_with={self.hybrid_with!r}, setting={self.setting!r}."
            )

        if self.setting != "ranking" and self.liked is not None:
            raise ValueError(
                "`liked` must be none unless setting is ranking. "
                f"Received: liked={self.liked!r}, setting={self.setting!r}."
            )
        for name in _TABLES:
            given = getattr(self, name)
            is_taken = self.setting == "scenario" and self.hybrid_with is None
            is_taken |= self.setting == "ranking" and name != "users"
            if given is not None and not is_taken:
                raise ValueError(
                    f"`{name}` must be none unless setting is scenario and hybrid_with is none, or "
                    "setting is ranking, which reads features of items: in the user setting "
                    "features stand in the folder of the data. "
                    f"Received: {name}={given!r}."
                )

    @property
    def free_to_change(self) -> tuple[str, ...]:
        """What may be another when a comparison is continued: its extent, and what is not read."""
        not_read = _NOT_READ[self.setting]
        return (*_EXTENT, *not_read, "read.block_mb", "read.max_malformed")

    @property
    def episode(self) -> EpisodeConfig:
        """Sizes of the support sets that are asked: the paper's, for every system."""
        return EpisodeConfig()
