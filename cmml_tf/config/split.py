"""Who is trained on, who is asked, and what may be known of a scenario that is asked."""

import datetime
import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from cmml_tf.config.checks import (
    FROM_0_BELOW_1,
    INSIDE_0_1,
    PositiveInt,
    check,
    require,
    shown,
)

Protocol = Literal["strict", "warm", "time"]
"""How new held-out scenarios are (docs/results.md, "How it is evaluated")."""
EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""(from which number on, its unit in a second): nano-, micro-, milliseconds; below: seconds."""


class Moment(NamedTuple):
    """A moment that divides a log.

    Attributes:
      kind: `share`: of the log's pairs that are before it; `seconds`: since 1970 in UTC.
      value: That number.
    """

    kind: Literal["share", "seconds"]
    value: float


@dataclass(frozen=True)
class SplitConfig:
    """Who is trained on, who is asked (docs/results.md, "How it is evaluated")."""

    protocol: Literal["auto", "strict", "warm", "time"] = "auto"
    """What training knows of a held-out scenario: `strict` nothing, `warm` what other users took in
    it, `time` all before a moment; `auto`: `time` where scenarios begin one after the other, else
    `strict`."""
    time: str | float | datetime.date | None = None
    """The moment of `time`: a date (2024-03-01, 2024-03-01T12:00Z), seconds since 1970, or the
    share of the log before it (0.8); none: the last scenarios, `meta_test_fraction` of them."""
    meta_test_fraction: Annotated[float, INSIDE_0_1] = 0.25
    """Share of the scenarios kept for the final evaluation."""
    validation_fraction: Annotated[float, FROM_0_BELOW_1] = 0.1
    """Share of the remaining scenarios kept for early stopping and the learning rate."""
    evaluation_user_fraction: Annotated[float, INSIDE_0_1] = 0.5
    """Share of the users who are asked: `strict`, of a held-out scenario's, who may be trained on
    in other scenarios; `warm`, of all, who are trained on nowhere; `time`: everybody who clicks
    later is."""
    background_fraction: Annotated[float, FROM_0_BELOW_1] | None = 0.5
    """Share of a meta-training scenario's users (`warm`: of every scenario's) whose pairs there
    only fit the pre-trained embeddings; none: half of them in `warm`, else nobody."""
    max_support_pairs: PositiveInt = 1365
    """Positive support pairs a held-out scenario has at the most; with two negatives each as many
    pairs as an export admits."""

    def __post_init__(self) -> None:
        check(self)
        _settle_time(self)
        if self.time is not None and self.protocol not in ("auto", "time"):
            raise ValueError(
                f"`time` must be none unless protocol is time. Received: time={shown(self.time)}, "
                f"protocol={self.protocol!r}."
            )

    def background_share(self, protocol: str) -> float:
        """`background_fraction` under a protocol."""
        if self.background_fraction is not None:
            return self.background_fraction
        return 0.5 if protocol == "warm" else 0.0

    @property
    def moment(self) -> Moment | None:
        """`time` as a number; none if it is none, or no moment."""
        return _moment(self.time)


@dataclass(frozen=True)
class UserSplitConfig:
    """What is known when users are asked (docs/ranking.md, "Who is asked what")."""

    protocol: Literal["auto", "strict", "time"] = "auto"
    """`strict`: users at random, of whom nothing is known; `time`: all before a moment is known,
    and who begins after it is asked; `auto`: `time` where a `time` is given, else `strict`."""
    time: str | float | datetime.date | None = None
    """The moment of `time`: a date (2024-03-01, 2024-03-01T12:00Z), seconds since 1970, or the
    share of the log before it (0.8); none: the last users to begin, `tasks.meta_test_fraction`."""

    def __post_init__(self) -> None:
        check(self)
        _settle_time(self)
        if self.protocol == "strict" and self.time is not None:
            raise ValueError(
                "`time` must be none where protocol is strict. "
                f"Received: time={shown(self.time)}, protocol='strict'."
            )

    @property
    def by_time(self) -> bool:
        """Whether a moment divides the log."""
        return self.protocol == "time" or self.time is not None


def _settle_time(config: SplitConfig | UserSplitConfig) -> None:
    """`time` as text, if it is a moment; refused if it is something else."""
    if config.time is None:
        return
    if isinstance(config.time, datetime.date):  # as YAML reads a date
        object.__setattr__(config, "time", config.time.isoformat())
    require(
        _moment(config.time) is not None,
        config,
        "time",
        "a date (ISO 8601), seconds since 1970, or a share of the log between 0 and 1",
    )
    object.__setattr__(config, "time", str(config.time))


def _moment(time: str | float | datetime.date | None) -> Moment | None:
    if time is None or isinstance(time, bool):
        return None
    text = str(time).strip()
    try:
        number = float(text)
    except ValueError:
        return _date(text)
    if not 0 < number < math.inf:
        return None
    return Moment("share", number) if number < 1 else Moment("seconds", as_seconds(number))


def as_seconds(number: float) -> float:
    """A time as a number -> seconds since 1970: large numbers are in smaller units.

    Example:

    >>> as_seconds(1_700_000_000), as_seconds(1_700_000_000_500)
    (1700000000, 1700000000.5)
    """
    for least, unit in EPOCH_UNITS:
        if abs(number) >= least:
            return number / unit
    return number


def _date(text: str) -> Moment | None:
    try:
        date = datetime.datetime.fromisoformat(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=datetime.UTC)
        return Moment("seconds", date.timestamp())
    except (ValueError, OverflowError):
        return None
