"""What is read, what a scenario is, and what pairs are embedded with."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from cmml_tf.config.checks import (
    ZERO_OR_MORE,
    Bound,
    PositiveFloat,
    PositiveInt,
    at_least,
    check,
    require,
)

Alignment = Literal["pad", "project"]
"""How embeddings of two widths become one width."""
COLUMNS_OF_LOGS = ("user", "item", "value", "scenario", "timestamp")
"""What the option `columns` names."""
_PAIR = rf"\s*({'|'.join(COLUMNS_OF_LOGS)}|time)\s*=[^,=]*[^,=\s][^,=]*"
_NAMED = re.compile(rf"{_PAIR}(,{_PAIR})*")


@dataclass(frozen=True)
class ReadConfig:
    """How logs and tables are read."""

    block_mb: Annotated[float, Bound("above 0 and at most 1024", lambda mb: 0 < mb <= 1024)] = 32.0
    """Megabytes of text in memory at a time; their columns take about as much again."""
    max_malformed: Annotated[int, ZERO_OR_MORE] = 0
    """Lines that do not parse are left out and counted, up to this number; then it is an error."""
    columns: str | None = None
    """What a table of one's own calls its columns, where that is neither their name nor an alias:
    `user=customer_id,item=sku`; of user, item, value, scenario, timestamp (or time).
    `--columns` for short."""

    def __post_init__(self) -> None:
        check(self)
        require(
            self.columns is None or bool(_NAMED.fullmatch(self.columns) and self.given),
            self,
            "columns",
            "NAME=COLUMN with commas between, each NAME once of " + ", ".join(COLUMNS_OF_LOGS),
        )

    @property
    def given(self) -> dict[str, str]:
        """Name of a column -> what the table calls it; empty where a name stands twice."""
        pairs = [pair.split("=", 1) for pair in (self.columns or "").split(",") if pair]
        named = ((name.strip(), called.strip()) for name, called in pairs)
        given = {"timestamp" if name == "time" else name: called for name, called in named}
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
    min_items: Annotated[int, at_least(2, "a negative needs another item")] = 20
    """Items of a scenario at the least."""
    max_items: int = 1000
    """Items of a scenario at the most."""
    min_interactions: Annotated[int, at_least(4)] = 300
    """Interactions of a scenario at the least."""

    def __post_init__(self) -> None:
        check(self)
        named = ("genre", "genre-combination", "genre-decade", "tag")
        column = self.definition.removeprefix("column:")
        require(
            self.definition in named or (self.definition.startswith("column:") and column != ""),
            self,
            "definition",
            f"one of {', '.join(named)} or column:NAME",
        )
        require(self.max_items >= self.min_items, self, "max_items", "at least min_items")


@dataclass(frozen=True)
class EmbeddingConfig:
    """The pre-trained user and item embeddings (paper section 3.1)."""

    dimension: PositiveInt = 64
    """Size of a user and of an item embedding (MovieLens 64, Taobao 128)."""
    user_file: str | None = None
    """A .npy file of user embeddings, row by row as the vocabulary; none: matrix factorisation."""
    item_file: str | None = None
    """A .npy file of item embeddings."""
    regularization: Annotated[float, ZERO_OR_MORE] = 100.0
    """L2 factor of the matrix factorisation."""
    alpha: PositiveFloat = 10.0
    """Confidence of an observed pair in implicit-feedback ALS (Hu, Koren, Volinsky 2008)."""
    iterations: PositiveInt = 15
    """ALS sweeps."""
    root_mean_square: PositiveFloat = 0.25
    """Users and items are each scaled to this root mean square per element."""

    def __post_init__(self) -> None:
        check(self)
        if (self.user_file is None) != (self.item_file is None):
            raise ValueError(
                "`user_file` and `item_file` must be given together. "
                f"Received: user_file={self.user_file!r}, item_file={self.item_file!r}."
            )


@dataclass(frozen=True)
class FactorConfig:
    """Conditional factors (`cmml_tf.embeddings.conditional_factors`)."""

    dimension: PositiveInt = 16
    """Numbers of a user's and of an item's factors. Not read where a data set ships its own."""
    user_penalty: PositiveFloat = 1.0
    """Precision of the users' prior; users are whitened, so their variance is about 1."""
    item_penalty: PositiveFloat = 10.0
    """Precision of the items' prior."""
    content_penalty: PositiveFloat = 30.0
    """L2 factor of the regression of factors on features."""
    sweeps: PositiveInt = 8
    """Alternations."""

    def __post_init__(self) -> None:
        check(self)
