"""Which protocol a log is split by, and the moment that divides it (`config.split` has them)."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cmml_tf.config import Protocol, SplitConfig
from cmml_tf.datasets.reading.times import Times

_MEANING = {
    "strict": "nothing of a held-out {0} is known but its support set",
    "warm": "what other users took in a held-out {0} is known",
    "time": "what was before the held-out {0}s began is known",
}
_HALF, _QUARTER = 0.5, 0.25


@dataclass(frozen=True)
class SettledProtocol:
    """What may be known of a held-out scenario.

    Attributes:
      name: `strict`, `warm` or `time`.
      because: Why, in a few words; "" where it was asked for.
      moment: `time`: seconds since 1970; what is before it is learned from.
    """

    name: Protocol
    because: str = ""
    moment: float | None = None


STRICT = SettledProtocol("strict")


class LogTimes(NamedTuple):
    """When the pairs of a log were taken.

    Attributes:
      untimed: Interactions without a time.
      of_pairs: Makes float64 [P], the earliest time of each pair. May be changed by who asks.
      starts: float64 [S], the earliest time in each scenario.
    """

    untimed: int
    of_pairs: Callable[[], np.ndarray]
    starts: np.ndarray


def settle_protocol(name: str, split: SplitConfig, times: LogTimes | None) -> SettledProtocol:
    """The protocol that is asked for, or that the log's times suggest.

    `auto` is `time` where at least a quarter of the scenarios begin after half of the log, else
    `strict`. Without a `time`, the moment is when the last `meta_test_fraction` of the scenarios
    begin.

    Args:
      name: Of the data, for messages.
      split: What is asked for.
      times: Of the log; None: it has none, or all the same.

    Raises:
      ValueError: `time` is asked for, and the log has no times or none that divides it.
    """
    if split.protocol in ("strict", "warm"):
        return SettledProtocol(split.protocol)
    asked = split.protocol == "time" or split.time is not None
    lacking = _lacking(times)
    if times is None or lacking:
        if asked:
            raise ValueError(
                f"`protocol` must not be time: {name} has {lacking}. Give a table with a column of "
                "times (timestamp, time, ts, date, or --columns time=NAME), or choose strict."
            )
        return SettledProtocol("strict", f"{name} has {lacking}")
    total = len(times.starts)
    if asked:
        return SettledProtocol("time", "", _moment(split, times))
    half = _behind_share(times.of_pairs(), _HALF)
    late = int((times.starts >= half).sum())
    moment = _moment(split, times)
    what = f"{late} of {total} scenarios begin after half of the log"
    if late < _QUARTER * total or (times.starts < moment).sum() < 2:
        return SettledProtocol("strict", what)
    return SettledProtocol("time", what, moment)


def times_of(split: SplitConfig) -> Times:
    """How times are to be read for a split."""
    if split.protocol == "auto":
        return "loose" if split.time is None else "needed"
    return "needed" if split.protocol == "time" else "none"


def described_protocol(
    name: Protocol, because: str, moment: str | None, task: str = "scenario"
) -> str:
    """How new held-out tasks are, and why, for people."""
    why = f" (chosen because {because})" if because else ""
    return f"protocol {name}{f', {moment}' if moment else ''}: {_MEANING[name].format(task)}{why}"


def iso_time(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, or the number where no calendar has it.

    Example:

    >>> iso_time(1706702400.0)
    '2024-01-31T12:00:00Z'
    """
    try:
        date = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g}"
    return date.isoformat().replace("+00:00", "Z")


def _lacking(times: LogTimes | None) -> str:
    """What the times of a log lack; "" if nothing."""
    if times is None:
        return "no times, or all are the same"
    return f"{times.untimed:,} interactions without a time" if times.untimed else ""


def _moment(split: SplitConfig, times: LogTimes) -> float:
    if split.moment is None:
        last = max(1, round(len(times.starts) * split.meta_test_fraction))
        return float(np.sort(times.starts)[-last])
    if split.moment.kind == "seconds":
        return split.moment.value
    return _behind_share(times.of_pairs(), split.moment.value)


def _behind_share(times: np.ndarray, share: float) -> float:
    """The first of the times before which at least this share of them lies; infinite if none is."""
    place = max(0, int(np.ceil(share * len(times))) - 1)
    times.partition(place)
    return float(times[place:].min(initial=np.inf, where=times[place:] > times[place]))
