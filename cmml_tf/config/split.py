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
    background_fraction: Annotated[float, FROM_0_BELOW_1] = 0.5
    """Share of a meta-training scenario's users (`warm`: of every scenario's) whose pairs there
    only fit the pre-trained embeddings."""
    max_support_pairs: PositiveInt = 1365
    """Positive support pairs a held-out scenario has at the most; with two negatives each as many
    pairs as an export admits."""

    def __post_init__(self) -> None:
        check(self)
        if self.time is None:
            return
        if isinstance(self.time, datetime.date):  # as YAML reads a date
            object.__setattr__(self, "time", self.time.isoformat())
        require(
            self.moment is not None,
            self,
            "time",
            "a date (ISO 8601), seconds since 1970, or a share of the log between 0 and 1",
        )
        object.__setattr__(self, "time", str(self.time))
        if self.protocol not in ("auto", "time"):
            raise ValueError(
                f"`time` must be none unless protocol is time. Received: time={shown(self.time)}, "
                f"protocol={self.protocol!r}."
            )

    @property
    def moment(self) -> Moment | None:
        """`time` as a number; none if it is none, or no moment."""
        if self.time is None or isinstance(self.time, bool):
            return None
        text = str(self.time).strip()
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
