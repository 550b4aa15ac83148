"""Who takes what in generated logs: hidden factors of users, items and scenarios.

Scenario r is a region of the factor space: a centre c_r and a taste t_r, a unit vector. Its items
are v = c_r + x, x normal. User u, a unit vector, enters scenario r with probability proportional to
`w_r exp(strength / 2 <u, c_r>)`, is offered a few of its items at random, and takes item i of them
with probability proportional to `exp(strength <u + t_r, x_i>)`.
"""

from typing import NamedTuple

import numpy as np

from cmml_tf.config.preparation import LogSize
from cmml_tf.types import starts_of

_OFFERED = 8
_DRAWN = 1.2  # for each that is missing
_ROUNDS = 5


class ChoiceModel:
    """Hidden factors, and draws from them.

    Args:
      size: Users, items and scenarios.
      latent: Dimensions k of the factors.
      strength: Weight of the factors in a choice.
      seed: Fixes every number.

    Attributes:
      item_region: int32 [items], the scenario of each item, ascending.
      item_start: int64 [scenarios + 1], where each scenario's items begin.
      centre, taste: float32 [scenarios, k].
      item: float32 [items, k], x of each item.
      user: float32 [users, k].
      activity: int64 [users], how many items each user is to take.
    """

    def __init__(self, size: LogSize, latent: int, strength: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.strength = strength
        self.weight = rng.gamma(2.0, size=size.scenarios)
        share = rng.gamma(4.0, size=size.scenarios)
        # One item a scenario at least.
        counts = 1 + rng.multinomial(size.items - size.scenarios, share / share.sum())
        self.item_start = starts_of(counts)
        self.item_region = np.repeat(np.arange(size.scenarios, dtype=np.int32), counts)
        self.centre = rng.normal(size=(size.scenarios, latent)).astype(np.float32)
        self.taste = _unit(rng.normal(size=(size.scenarios, latent)))
        self.item = rng.standard_normal((size.items, latent), np.float32)
        self.user = _unit(rng.standard_normal((size.users, latent), np.float32))
        active = rng.lognormal(0.0, 1.0, size.users)
        self.activity = 1 + rng.multinomial(
            max(0, size.interactions - size.users), active / active.sum()
        )

    def take(self, first: int, last: int, rng: np.random.Generator) -> "Taken":
        """What users `first` to `last - 1` take, each item once; in the order of the users.

        Who has not got as many different items as wanted after some rounds gets fewer.
        """
        entry = self.strength / 2 * self.user[first:last] @ self.centre.T + np.log(self.weight)
        chance = np.exp(entry - entry.max(axis=1, keepdims=True))
        chance = np.cumsum(chance / chance.sum(axis=1, keepdims=True), axis=1)
        missing = self.activity[first:last].copy()
        parts: list[Taken] = []
        known = np.zeros(0, np.int64)
        for _ in range(_ROUNDS):
            drawn = np.repeat(np.arange(last - first), np.ceil(missing * _DRAWN).astype(np.int64))
            taken = self._draw(drawn, first, chance, rng)
            keys = taken.user * len(self.item) + taken.item
            _, once = np.unique(keys, return_index=True)
            once = once[~np.isin(keys[once], known, assume_unique=True)]
            # In random order within a user, as many as are missing.
            once = once[np.lexsort([rng.random(len(once)), taken.user[once]])]
            user = taken.user[once]
            kept = once[np.arange(len(once)) - np.searchsorted(user, user) < missing[user - first]]
            parts.append(Taken(*(column[kept] for column in taken)))
            known = np.concatenate([known, keys[kept]])
            missing -= np.bincount(taken.user[kept] - first, minlength=last - first)
            if not missing.any():
                break
        together = Taken(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        order = np.argsort(together.user, kind="stable")
        return Taken(*(column[order] for column in together))

    def _draw(
        self, drawn: np.ndarray, first: int, chance: np.ndarray, rng: np.random.Generator
    ) -> "Taken":
        """One choice for each of `drawn`, users by their place behind `first`."""
        # One search in all users' cumulative chances, user n's between n and n + 1.
        steps = (chance + np.arange(len(chance))[:, None]).ravel()
        found = np.searchsorted(steps, rng.random(len(drawn)) + drawn) - drawn * chance.shape[1]
        region = np.clip(found, 0, chance.shape[1] - 1)
        start = self.item_start[region][:, None]
        count = self.item_start[region + 1][:, None] - start
        offered = start + (rng.random((len(drawn), _OFFERED)) * count).astype(np.int64)
        users = drawn + first
        pull = self.user[users] + self.taste[region]
        liking = np.einsum("nok,nk->no", self.item[offered], pull)
        noise = rng.gumbel(size=liking.shape).astype(np.float32)
        chosen = np.argmax(self.strength * liking + noise, axis=1)
        rows = np.arange(len(users))
        return Taken(users, offered[rows, chosen], region, liking[rows, chosen])


class Taken(NamedTuple):
    """Pairs: user, item and scenario int [N], and how well each was liked, about N(0, 1.4)."""

    user: np.ndarray
    item: np.ndarray
    region: np.ndarray
    liking: np.ndarray


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
