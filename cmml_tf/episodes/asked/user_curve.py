"""Evaluation tasks of the user setting by number of known ratings, from none to all."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cmml_tf.config import CurveConfig
from cmml_tf.episodes.asked.asked_users import AskedUsers

RATINGS = (0, 1, 2, 5, 10, 20, 40)


@dataclass(frozen=True)
class UserCurve:
    """Held-out users whose support ratings are known to any number, in several draws.

    A support of n ratings holds the first n of a draw, so each is a part of the next larger one.
    The first draw is the users' own order.

    Attributes:
      asked: Some of the users, with all their support ratings.
      draws: Orders of them.
      chosen: int64 [T], which of all users they are; None: all.
    """

    asked: AskedUsers
    draws: int
    chosen: np.ndarray | None = None
    same_questions: ClassVar[bool] = True

    @classmethod
    def of(cls, asked: AskedUsers, config: CurveConfig) -> "UserCurve":
        """Of some of these users, always the same ones.

        Args:
          asked: Users with all their support ratings.
          config: How many users are asked at the most, and how many draws there are.
        """
        if len(asked) <= config.most_asked:
            return cls(asked, config.draws)
        shuffled = np.random.default_rng(len(asked)).permutation(len(asked))
        chosen = np.sort(shuffled[: config.most_asked])
        return cls(asked.take(chosen), config.draws, chosen)

    @property
    def sizes(self) -> dict[str, int]:
        """Known ratings by what the size is called: 0, 1, 2, ... and `all`."""
        most = int(self.asked.support_length.max())
        return {**{str(n): n for n in RATINGS if n < most}, "all": most}

    def tasks(self, ratings: int, draw: int) -> AskedUsers:
        """The users with the first `ratings` of a draw."""
        places = []
        for user, length in enumerate(self.asked.support_length.tolist()):
            order = np.arange(length)
            if draw > 0:
                order = np.random.default_rng([draw, user]).permutation(length)
            places.append(self.asked.starts[user] + order[:ratings])
        return self.asked.with_support(places)

    def places(self, ratings: int, draw: int) -> np.ndarray | None:
        """Of all ratings in the users' own order."""
        is_own = draw == 0 and ratings >= int(self.asked.support_length.max())
        if not is_own:
            return None
        return np.arange(len(self.asked)) if self.chosen is None else self.chosen

    def fingerprint(self) -> str:
        """sha256 (hex): which tasks these are."""
        return self.asked.fingerprint()
