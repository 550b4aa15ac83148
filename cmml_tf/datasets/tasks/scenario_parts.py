"""Which pairs of a scenario support, are asked, are trained on, or are left to the embeddings.

One rule for data in memory and for data prepared in parts (docs/results.md, "How it is evaluated"):

* A held-out scenario: some of its users are asked, the others support: in `strict` a share of them
  is drawn in each, in `warm` evaluation users are asked wherever they are. `time`: the first half
  of its pairs supports, as far as `max_support_pairs` goes, later ones are asked.
* `strict`: no pair of a held-out scenario, not even one beyond the cap, is anywhere else; `warm`:
  pairs of users who are set aside in it fit the embeddings; `time`: what is before the moment is
  learned from, what is later and in no held-out scenario is left out. A validation scenario of
  `time` has its pairs before the moment to itself.
* A meta-training scenario: pairs of users who are set aside in it, in `warm` of evaluation users
  too, fit the embeddings, the others are trained on.
* Scenarios may share pairs. What meta-test holds no other role has, then comes validation, then
  meta-training, then the background.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cmml_tf.config import SplitConfig
from cmml_tf.datasets.reading.ids import is_in
from cmml_tf.datasets.tasks.held_out import draw_support
from cmml_tf.datasets.tasks.keyed_draws import scenario_generator
from cmml_tf.datasets.tasks.protocols import SettledProtocol
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, Scenario
from cmml_tf.datasets.tasks.scenario_roles import META_TEST, META_TRAIN

DROPPED, LEARNT, SUPPORT, ASKED = "dropped", "pairs", "support pairs", "evaluation pairs"
BACKGROUND, BEYOND = "background pairs", "beyond cap"
LATER, REPEATED = "after the moment", "before the moment too"


class ScenarioRows(NamedTuple):
    """All pairs of a scenario.

    Attributes:
      name: Of the scenario.
      users, items: int32 [N], rows of its pairs, sorted.
      pool: int32 [C], items of it that may be without a pair.
      times: float64 [N], the earliest time of each pair in it; None: not needed.
    """

    name: str
    users: np.ndarray
    items: np.ndarray
    pool: np.ndarray
    times: np.ndarray | None


class Claims(NamedTuple):
    """Keys of pairs that are taken, int64, sorted, each once.

    Attributes:
      held_out: Support and asked pairs of held-out scenarios; `strict`: all their pairs.
      beyond: Those that neither support nor are asked, because of the cap; nobody else has them.
      trained: Pairs that are trained on.
      later: `time`: pairs of the meta-test scenarios, which take nothing from what is before.
    """

    held_out: np.ndarray
    beyond: np.ndarray
    trained: np.ndarray
    later: np.ndarray

    @classmethod
    def none(cls) -> "Claims":
        """Nothing is taken."""
        return cls(*(np.zeros(0, np.int64) for _ in cls._fields))

    @classmethod
    def together(cls, claims: Iterable["Claims"]) -> "Claims":
        """All of several."""
        return cls(*map(_distinct, zip(*claims, strict=True)))


@dataclass(frozen=True)
class SplitRules:
    """What decides of every pair.

    Attributes:
      split: Shares and caps.
      seed: Fixes what is drawn.
      protocol: What may be known of a held-out scenario.
      is_evaluation: bool [U], who is only ever asked (`warm`; else nobody).
      items: Items in all, so that a pair is a number.
    """

    split: SplitConfig
    seed: int
    protocol: SettledProtocol
    is_evaluation: np.ndarray
    items: int

    def keys(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """int64 [N], a number for each pair."""
        return users.astype(np.int64) * self.items + items

    def take(
        self, role: str, scenarios: Iterable[ScenarioRows], taken: Claims
    ) -> tuple[list[HeldOutScenario | None] | list[Scenario | None], Claims, Counter[str]]:
        """What the scenarios of a role become, the pairs that they claim, and counts.

        Args:
          role: `meta_test`, `validation` or `meta_train`.
          scenarios: The scenarios.
          taken: What earlier roles have claimed.

        Returns:
          A scenario, or None where too little is left of it, for each; claims; counts.
        """
        if role == META_TRAIN:
            return self._learn(scenarios, taken)
        return self._hold_out(role, scenarios, taken)

    def rest(
        self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None, taken: Claims
    ) -> tuple[np.ndarray, np.ndarray, Counter[str]]:
        """Which pairs are background, and which are the history of users who are trained on.

        Args:
          users, items: int [P], pairs of the log, each once.
          times: float64 [P], their earliest times; None: not needed.
          taken: What all roles have.

        Returns:
          bool [P] each, and counts.
        """
        keys = self.keys(users, items)
        before, trained = self._is_before(times), is_in(keys, taken.trained)
        held_out = is_in(keys, taken.held_out)
        beyond = is_in(keys, taken.beyond) & ~held_out & ~trained
        known = before & ~held_out & ~beyond
        background = known & ~trained
        history = ~self.is_evaluation[users]
        if self.protocol.name != "warm":
            history &= known
        counts = Counter({BACKGROUND: int(background.sum()), BEYOND: int(beyond.sum())})
        if self.protocol.name == "time":
            later = is_in(keys, taken.later)
            counts[LATER] = int((~before & ~later).sum())
            counts[REPEATED] = int((before & later).sum())
        return background, history, counts

    def _hold_out(
        self, role: str, scenarios: Iterable[ScenarioRows], taken: Claims
    ) -> tuple[list[HeldOutScenario | None], Claims, Counter[str]]:
        held_out, claims, counts = [], [Claims.none()], Counter({DROPPED: 0, SUPPORT: 0, ASKED: 0})
        for rows in scenarios:
            rng = scenario_generator(self.seed, rows.name)
            free = self._free(role, rows, taken, rng)
            users, items = rows.users[free], rows.items[free]
            if self.protocol.name == "time":
                support, asked = self._first_and_later(rows.times[free], rng)
            else:
                support, asked = self._halves(users, rng)
            candidates = rows.items if self.protocol.name == "warm" else items
            candidates = np.union1d(candidates, rows.pool).astype(np.int32)
            # One item alone is no choice: scenarios may share all of their others with those that
            # came first.
            if not len(support) or not len(asked) or len(candidates) < 2:
                held_out.append(None)
                counts[DROPPED] += 1
                continue
            held_out.append(
                HeldOutScenario(
                    name=rows.name,
                    support_users=users[support],
                    support_items=items[support],
                    evaluation_users=users[asked],
                    evaluation_items=items[asked],
                    candidates=candidates,
                )
            )
            claims.append(self._claimed(role, users, items, support, asked))
            counts[SUPPORT] += len(support)
            counts[ASKED] += len(asked)
        return held_out, Claims.together(claims), counts

    def _learn(
        self, scenarios: Iterable[ScenarioRows], taken: Claims
    ) -> tuple[list[Scenario | None], Claims, Counter[str]]:
        learned, claims, counts = [], [Claims.none()], Counter({DROPPED: 0, LEARNT: 0})
        for rows in scenarios:
            rng = scenario_generator(self.seed, rows.name)
            keys = self.keys(rows.users, rows.items)
            free = ~is_in(keys, taken.held_out) & self._is_before(rows.times)
            if self.protocol.name != "warm":
                free &= ~is_in(keys, taken.beyond)
            trained = free & self._foreground(rows.users, rng) & ~self.is_evaluation[rows.users]
            aside = free & ~trained
            candidates = rows.items if self.protocol.name == "warm" else rows.items[free]
            candidates = np.union1d(candidates, rows.pool).astype(np.int32)
            if not trained.any() or len(candidates) < 2 or self._too_early(rows, free, trained):
                learned.append(None)
                counts[DROPPED] += 1
                continue
            learned.append(
                Scenario(
                    name=rows.name,
                    users=rows.users[trained],
                    items=rows.items[trained],
                    candidates=candidates,
                    aside_users=rows.users[aside],
                    aside_items=rows.items[aside],
                )
            )
            claims.append(Claims.none()._replace(trained=keys[trained]))
            counts[LEARNT] += int(trained.sum())
        return learned, Claims.together(claims), counts

    def _free(
        self, role: str, rows: ScenarioRows, taken: Claims, rng: np.random.Generator
    ) -> np.ndarray:
        """bool [N]: which pairs of a held-out scenario it may have."""
        keys = self.keys(rows.users, rows.items)
        free = ~is_in(keys, taken.held_out)
        if self.protocol.name == "warm":
            return free & self._foreground(rows.users, rng)
        free &= ~is_in(keys, taken.beyond)
        return free if role == META_TEST else free & self._is_before(rows.times)

    def _claimed(
        self,
        role: str,
        users: np.ndarray,
        items: np.ndarray,
        support: np.ndarray,
        asked: np.ndarray,
    ) -> Claims:
        keys, none = self.keys(users, items), Claims.none()
        if self.protocol.name == "time" and role == META_TEST:
            return none._replace(later=keys)
        used = np.concatenate([support, asked])
        return none._replace(held_out=keys[used], beyond=np.delete(keys, used))

    def _halves(self, users: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Places of the support, in an order that is drawn, and of the pairs that are asked."""
        is_asked = self.is_evaluation[users]
        if self.protocol.name == "strict":
            distinct = rng.permutation(np.unique(users))
            share = round(len(distinct) * self.split.evaluation_user_fraction)
            is_asked = np.isin(users, distinct[: min(max(share, 1), len(distinct) - 1)])
        places = np.flatnonzero(~is_asked)
        _, support = draw_support(users[places], places, self.split.max_support_pairs, rng)
        return support, np.flatnonzero(is_asked)

    def _first_and_later(
        self, times: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Places of the support in the order of time, what is at one time in one that is drawn, and
        of the pairs that are asked."""
        shuffled = rng.permutation(len(times))
        order = shuffled[np.argsort(times[shuffled], kind="stable")]
        first = min(self.split.max_support_pairs, len(order) // 2)
        return order[:first], np.sort(order[first:])

    def _foreground(self, users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """bool [N]: the pairs of a scenario whose users [N] are not set aside in it."""
        distinct = rng.permutation(np.unique(users))
        share = self.split.background_share(self.protocol.name)
        aside = distinct[: round(len(distinct) * share)]
        return ~np.isin(users, aside)

    def _too_early(self, rows: ScenarioRows, free: np.ndarray, trained: np.ndarray) -> bool:
        """Whether the moment leaves fewer than two pairs whose user did not take every item."""
        if self.protocol.moment is None:
            return False
        users, taken = np.unique(rows.users[free], return_counts=True)
        untaken = users[taken < len(np.unique(rows.items[free]))]
        return int(np.isin(rows.users[trained], untaken).sum()) < 2

    def _is_before(self, times: np.ndarray | None) -> np.ndarray | bool:
        """bool [N], or for all: what training may know as far as the time goes."""
        moment = self.protocol.moment
        return np.bool_(True) if moment is None or times is None else times < moment


def _distinct(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The values of several arrays, sorted, each once: faster than `np.unique` on many millions."""
    values = np.concatenate(parts)
    values.sort(kind="stable")  # merges what is sorted already
    return values[np.diff(values, prepend=values[:1] - 1) != 0]
