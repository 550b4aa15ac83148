"""Settings of the data commands: files to generate. No TensorFlow."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

Layout = Literal["movielens", "taobao"]


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
    interactions: int | None = None
    """Ratings or clicks; users who cannot take so many different items take fewer."""
    users: int | None = None
    """Users."""
    items: int | None = None
    """Items, shared out among the scenarios."""
    scenarios: int | None = None
    """Scenarios: genre combinations or themes."""
    latent: int = 8
    """Dimensions of the hidden factors of users, items and scenarios."""
    dimension: int = 128
    """Numbers of an embedding (`taobao` only)."""
    strength: float = 2.0
    """Weight of the factors in what a user takes; 0: chance alone."""
    seed: int = 0
    """Fixes every number."""

    def __post_init__(self) -> None:
        if self.size not in GENERATED_SIZES:
            raise ValueError(
                f"`size` must be one of {', '.join(GENERATED_SIZES)}. Received: size={self.size!r}."
            )
        if self.layout is not None and self.layout not in get_args(Layout):
            raise ValueError(
                f"`layout` must be one of {', '.join(get_args(Layout))}. "
                f"Received: layout={self.layout!r}."
            )
        for name, least in (
            ("interactions", 1),
            ("users", 1),
            ("scenarios", 1),
            ("latent", 1),
            ("seed", 0),
            ("items", self.resolved.scenarios),
            ("dimension", self.latent),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value}.")
        if not self.strength >= 0:
            raise ValueError(
                f"`strength` must be zero or more. Received: strength={self.strength}."
            )

    @property
    def resolved(self) -> LogSize:
        """The size with what was given in place of the named one."""
        given = {name: getattr(self, name) for name in LogSize._fields}
        changes = {name: value for name, value in given.items() if value is not None}
        return GENERATED_SIZES[self.size]._replace(**changes)
