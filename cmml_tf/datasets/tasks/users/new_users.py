"""Which users are new, and which rows of a log are learned from when they are asked."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cmml_tf.config import SplitConfig
from cmml_tf.config.ranking import RankingDataConfig
from cmml_tf.config.split import UserSplitConfig
from cmml_tf.datasets.reading.ids import as_text, rows_of
from cmml_tf.datasets.tasks.protocols import LogTimes, iso_time, settle_protocol
from cmml_tf.datasets.tasks.scenarios import earliest, has_times
from cmml_tf.datasets.tasks.users.taken_items import LEAST_TAKEN
from cmml_tf.types import AreNew

_MOST_ASKED = 2000


@dataclass(frozen=True)
class NewUsers:
    """How the rows of a log are divided.

    Attributes:
      is_learned: bool [N], what may be learned from.
      is_asked: bool [N], rows of the users who are asked.
      counts: What is left out, for people.
      moment: When the users who are asked begin, as ISO 8601 in UTC; None: at any time.
    """

    is_learned: np.ndarray
    is_asked: np.ndarray
    counts: dict[str, int] = field(default_factory=dict)
    moment: str | None = None


def named_users(
    given: pd.DataFrame,
    user_ids: np.ndarray,
    user: np.ndarray,
    path: str,
    before: np.ndarray | None,
) -> NewUsers:
    """Users whom a file of tasks names; all others are learned from.

    Args:
      given: The file's rows, ids as text.
      user_ids: Raw ids.
      user: int [N], the row of each click's user.
      path: Of the file, for messages.
      before: int [K], users whom the run that is continued has learned from; None: there is none.

    Raises:
      ValueError: A user is not in the data, or was learned from.
    """
    named = given["user"].unique().astype(object)
    found = rows_of(named, as_text(user_ids))
    if (found < 0).any():
        raise ValueError(f"The user {named[found < 0][0]} of {path} is not in the data set.")
    known = found[:0] if before is None else np.intersect1d(found, before)
    if len(known):
        raise ValueError(
            f"The users of {path} must be new to the run that is continued, which learned from the "
            f"user {user_ids[known[0]]}."
        )
    return _divided(user, found)


def random_users(
    user_ids: np.ndarray,
    user: np.ndarray,
    config: RankingDataConfig,
    rng: np.random.Generator,
    are_new: AreNew | None,
    before: np.ndarray | None,
) -> NewUsers:
    """A share of the users who have taken enough; all others are learned from.

    Args:
      user_ids, user, before: As of `named_users`.
      config: The share.
      rng: Draws them.
      are_new: Which users, by id, may be asked; None: all. Where it leaves fewer than two, all.

    Raises:
      ValueError: There are too few.
    """
    enough = np.flatnonzero(np.bincount(user, minlength=len(user_ids)) >= LEAST_TAKEN)
    if are_new is not None:
        new = enough[are_new(as_text(user_ids[enough]))]
        enough = new if len(new) > 1 else enough
    number = max(1, round(config.meta_test_fraction * len(enough)))
    if len(enough) < 2:
        raise ValueError(
            f"There must be two users who have taken {LEAST_TAKEN} items. "
            f"Received: {len(enough)} of {len(user_ids)} users."
        )
    return _divided(user, _drawn(_not_before(enough, before), number, rng))


def users_by_time(
    name: str,
    user: np.ndarray,
    times: np.ndarray,
    config: RankingDataConfig,
    split: UserSplitConfig,
    rng: np.random.Generator,
    before: np.ndarray | None,
) -> NewUsers:
    """All rows before a moment are learned from; users who begin after it are asked.

    The moment is that of the scenario setting's rule (`settle_protocol`), a user standing for a
    scenario.

    Args:
      name: Of the data, for messages.
      user, config, rng, before: As of `random_users`; the share says when the moment is, where
        `split` does not.
      times: float [N], seconds since 1970; NaN: unknown.
      split: By time.

    Raises:
      ValueError: The log has no times or none that divides it, or there are too few users.
    """
    starts = earliest(times, user, int(user.max()) + 1)
    untimed = int(np.isnan(times).sum())
    known = LogTimes(untimed, times.copy, starts) if has_times(times) else None
    rule = SplitConfig(
        protocol="time", time=split.time, meta_test_fraction=config.meta_test_fraction
    )
    moment = settle_protocol(name, rule, known).moment
    is_learned = times < moment
    later = np.flatnonzero(starts >= moment)
    enough = later[np.bincount(user, minlength=len(starts))[later] >= LEAST_TAKEN]
    if not len(enough) or not is_learned.any():
        raise ValueError(
            f"`time` must be a moment of {name} before which something was taken, and behind which "
            f"a user with {LEAST_TAKEN} items begins. Received: {iso_time(moment)}; before it are "
            f"{int(is_learned.sum()):,} of {len(times):,} rows, behind it begin {len(later):,} "
            f"users, {len(enough):,} with as many items."
        )
    asked = _drawn(_not_before(enough, before), _MOST_ASKED, rng)
    is_asked = np.isin(user, asked)
    counts = {
        "rows after the moment, of others than the users who are asked, left out": int(
            (~is_learned & ~is_asked).sum()
        )
    }
    return NewUsers(is_learned, is_asked, counts, iso_time(moment))


def _not_before(users: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    if before is None:
        return users
    left = np.setdiff1d(users, before)
    if not len(left):
        raise ValueError(
            f"There must be a user with {LEAST_TAKEN} items whom the run that is continued has "
            "not learned from. Received: none."
        )
    return left


def _drawn(users: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    return np.sort(rng.permutation(users)[: min(number, _MOST_ASKED)])


def _divided(user: np.ndarray, asked: np.ndarray) -> NewUsers:
    is_asked = np.isin(user, asked)
    return NewUsers(~is_asked, is_asked)
