"""Files to generate, logs to prepare, data sets to combine."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

from cmml_tf.config.checks import ZERO_OR_MORE, PositiveInt, Seed, check, require
from cmml_tf.config.data import (
    Alignment,
    EmbeddingConfig,
    ReadConfig,
    ScenarioConfig,
)
from cmml_tf.config.split import SplitConfig

Layout = Literal["movielens", "taobao"]
Runner = Literal["local", "beam"]


class LogSize(NamedTuple):
    """How large a generated data set is."""

    layout: Layout
    interactions: int
    users: int
    items: int
    scenarios: int


GENERATED_SIZES: dict[str, LogSize] = {
    "small": LogSize("movielens", 100_000, 1000, 1500, 40),
    "small-taobao": LogSize("taobao", 50_000, 4000, 4000, 40),
    "ml-20m": LogSize("movielens", 20_000_263, 138_493, 27_278, 306),
    "taobao": LogSize("taobao", 5_700_000, 700_000, 1_400_000, 355),
}
"""Sizes by name; `ml-20m` and `taobao` are those of the real sets."""


@dataclass(frozen=True)
class GenerateConfig:
    """Files of a published layout with structure that is known."""

    out: str
    """Folder that is written; it must not exist."""
    size: str = "small"
    """`small`, `small-taobao`, `ml-20m` or `taobao`: layout and numbers, unless given below."""
    layout: Layout | None = None
    """`movielens` (ratings.csv, movies.csv) or `taobao` (theme clicks, pool, purchases, embeddings
    as text); none: as `size` says."""
    interactions: PositiveInt | None = None
    """Ratings or clicks; users who cannot take so many different items take fewer."""
    users: PositiveInt | None = None
    """Users."""
    items: PositiveInt | None = None
    """Items, shared out among the scenarios."""
    scenarios: PositiveInt | None = None
    """Scenarios: genre combinations or themes."""
    latent: PositiveInt = 8
    """Dimensions of the hidden factors of users, items and scenarios."""
    dimension: int = 128
    """Numbers of an embedding (`taobao` only)."""
    strength: Annotated[float, ZERO_OR_MORE] = 2.0
    """Weight of the factors in what a user takes; 0: chance alone."""
    seed: Seed = 0
    """Fixes every number."""

    def __post_init__(self) -> None:
        if self.size not in GENERATED_SIZES:
            raise ValueError(
                f"`size` must be one of {', '.join(GENERATED_SIZES)}. Received: size={self.size!r}."
            )
        check(self)
        for name, least in (("items", self.resolved.scenarios), ("dimension", self.latent)):
            value = getattr(self, name)
            require(value is None or value >= least, self, name, f"at least {least}")

    @property
    def resolved(self) -> LogSize:
        """The size with what was given in place of the named one."""
        given = {name: getattr(self, name) for name in LogSize._fields}
        changes = {name: value for name, value in given.items() if value is not None}
        return GENERATED_SIZES[self.size]._replace(**changes)


@dataclass(frozen=True)
class PrepareConfig:
    """From a raw log to a folder of scenarios that training reads as it is."""

    data: str
    """A folder in MovieLens' or Taobao's layout, a GroupLens name, or a table with columns user and
    item (.csv, .parquet, or a folder with one)."""
    out: str
    """Folder that is written; it appears when everything is in it."""
    runner: Runner = "local"
    """`local`: one process, within `memory_mb`; `beam`: Apache Beam, wherever it runs."""
    beam_options: tuple[str, ...] = ()
    """Options for Beam, e.g. `--runner=FlinkRunner`; none: its runner inside this process."""
    memory_mb: PositiveInt = 1024
    """Megabytes for the rows in memory at a time; what is larger is divided."""
    shards: PositiveInt = 8
    """Files of scenarios of each role."""
    seed: Seed = 0
    """Fixes the split."""
    scenario: ScenarioConfig = field(default_factory=ScenarioConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    read: ReadConfig = field(default_factory=ReadConfig)

    def __post_init__(self) -> None:
        check(self)
        if self.beam_options and self.runner != "beam":
            raise ValueError(
                "`beam_options` must be empty with another runner. "
                f"Received: beam_options={self.beam_options!r}, runner={self.runner!r}."
            )


@dataclass(frozen=True)
class HybridConfig:
    """Two data sets as one (the paper's Movie-Taobao)."""

    first: str
    """A prepared folder, or one in ScenarioMeta's layout."""
    second: str
    """Another."""
    out: str
    """Prepared folder that is written; it must not exist."""
    alignment: Alignment = "pad"
    """What widens the smaller embeddings: `pad` with zeros, or `project` by a random matrix with
    orthonormal rows; either way inner products within a data set stay."""
    seed: Seed = 0
    """Fixes factorisation and projection (and, in ScenarioMeta's layout, the validation split)."""
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    """Matrix factorisation, for the set that ships no embeddings."""

    def __post_init__(self) -> None:
        check(self)
        if self.embedding.user_file is not None:
            raise ValueError(
                "`user_file` must be none: one file cannot be of two data sets. "
                f"Received: user_file={self.embedding.user_file!r}."
            )
