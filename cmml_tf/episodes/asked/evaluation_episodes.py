"""Evaluation tasks: drawn once, saved and hashed, so that every system is asked the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from cmml_tf.config import EpisodeConfig
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario
from cmml_tf.episodes.asked.saved_tasks import SavedTasks
from cmml_tf.episodes.asked.swapped_tasks import others
from cmml_tf.types import Support, starts_of


class EvaluationEpisode(NamedTuple):
    """One held-out scenario.

    Attributes:
      name: The scenario's name.
      support: `Support` of one task ([1, S] each, length [1]).
      users: int32 [U], users whose ranking is evaluated.
      candidates: int32 [I], items to rank.
      relevant: bool [U, I], what each ranking should find.
      user_known: bool [U], users that the embeddings know.
      candidate_known: bool [I], items that the embeddings know.
    """

    name: str
    support: Support
    users: np.ndarray
    candidates: np.ndarray
    relevant: np.ndarray
    user_known: np.ndarray
    candidate_known: np.ndarray


class Known(NamedTuple):
    """What the embeddings know.

    Attributes:
      users: bool [all users].
      items: bool [all items].
    """

    users: np.ndarray
    items: np.ndarray


@dataclass(frozen=True)
class EvaluationEpisodes(SavedTasks):
    """T held-out scenarios with their support sets drawn.

    Attributes:
      names: str [T].
      support_user, support_item: int32 [T, S].
      support_label: float32 [T, S].
      support_length: int32 [T].
      pair_start: int64 [T + 1], where each scenario's evaluation pairs begin.
      pair_user, pair_item: int32 [N].
      pair_user_known: bool [N], users that the embeddings know.
      candidate_start: int64 [T + 1].
      candidate: int32 [sum of I].
      candidate_known: bool [sum of I].
    """

    names: np.ndarray
    support_user: np.ndarray
    support_item: np.ndarray
    support_label: np.ndarray
    support_length: np.ndarray
    pair_start: np.ndarray
    pair_user: np.ndarray
    pair_item: np.ndarray
    pair_user_known: np.ndarray
    candidate_start: np.ndarray
    candidate: np.ndarray
    candidate_known: np.ndarray

    @classmethod
    def draw(
        cls,
        scenarios: Sequence[HeldOutScenario],
        config: EpisodeConfig,
        seed: int,
        known: Known | None = None,
        in_order: bool = False,
    ) -> "EvaluationEpisodes":
        """Draws one support set a scenario: positives without repetition while there are enough.

        Args:
          scenarios: Held-out scenarios.
          config: Support sizes.
          seed: Fixes every draw.
          known: Users and items that the embeddings know; None: all.
          in_order: Positives are the first ones as they came, and only negatives are drawn.

        Raises:
          ValueError: There is no scenario, or one has no support pair, no evaluation pair, fewer
            than two items, or an evaluation item that is not among its candidates.
        """
        if not scenarios:
            raise ValueError("Evaluation needs at least one held-out scenario. Received: none.")
        for scenario in scenarios:
            check_can_be_asked(scenario)
        support = [
            _draw_support(scenario, config, in_order, np.random.default_rng([seed, place]))
            for place, scenario in enumerate(scenarios)
        ]
        users, items = (np.stack(column).astype(np.int32) for column in zip(*support, strict=True))
        labels = np.repeat([1.0, 0.0], [config.support_positives, config.support_negatives])
        count = len(scenarios)
        return cls(
            names=np.array([scenario.name for scenario in scenarios]),
            support_user=users,
            support_item=items,
            support_label=np.tile(labels.astype(np.float32), (count, 1)),
            support_length=np.full(count, config.support_size, np.int32),
            **questions(scenarios, known),
        )

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[EvaluationEpisode]:
        return (self.episode(place) for place in range(len(self)))

    def episode(self, place: int) -> EvaluationEpisode:
        """Scenario number `place`."""
        one = slice(place, place + 1)
        pairs = slice(self.pair_start[place], self.pair_start[place + 1])
        ranked = slice(self.candidate_start[place], self.candidate_start[place + 1])
        candidates = self.candidate[ranked]
        users, first, row = np.unique(self.pair_user[pairs], return_index=True, return_inverse=True)
        relevant = np.zeros((len(users), len(candidates)), bool)
        relevant[row, np.searchsorted(candidates, self.pair_item[pairs])] = True
        # A padded support is cut to what is read, or a pair that is not.
        size = max(1, int(self.support_length[place]))
        support = Support(
            self.support_user[one, :size],
            self.support_item[one, :size],
            self.support_label[one, :size],
            self.support_length[one],
        )
        return EvaluationEpisode(
            str(self.names[place]),
            support,
            users,
            candidates,
            relevant,
            self.pair_user_known[pairs][first],
            self.candidate_known[ranked],
        )

    def swapped(self, draw: int) -> "EvaluationEpisodes":
        """Each scenario with the support set of another one, drawn at random among all others.

        Args:
          draw: Which draw; the same number gives the same ones.

        Raises:
          ValueError: There is only one scenario.
        """
        source = others(len(self), draw, "scenarios")
        return replace(
            self,
            support_user=self.support_user[source],
            support_item=self.support_item[source],
            support_label=self.support_label[source],
            support_length=self.support_length[source],
        )

    def with_known(self, known: Known) -> "EvaluationEpisodes":
        """The same questions to a model that knows these users and items."""
        return replace(
            self,
            pair_user_known=known.users[self.pair_user],
            candidate_known=known.items[self.candidate],
        )

    def counts(self) -> dict[str, np.ndarray]:
        """Pairs to be found, items to rank and support pairs, int [T] each."""
        return {
            "pairs to be found": np.diff(self.pair_start),
            "items ranked": np.diff(self.candidate_start),
            "support pairs": self.support_length,
        }

    def known(self) -> dict[str, float]:
        """Share of the asked pairs whose user, and whose item, the embeddings know."""
        pairs = np.diff(self.pair_start)
        # Candidates are sorted within a scenario, so that one search finds the items of all.
        width = int(self.candidate.max()) + 1
        key = np.repeat(np.arange(len(self)), np.diff(self.candidate_start)) * width
        asked = np.repeat(np.arange(len(self)), pairs) * width + self.pair_item
        place = np.searchsorted(key + self.candidate, asked)
        return {
            "users": float(self.pair_user_known.mean()),
            "items": float(self.candidate_known[place].mean()),
        }


def questions(scenarios: Sequence[HeldOutScenario], known: Known | None) -> dict[str, np.ndarray]:
    """What is asked of these scenarios, as fields of `EvaluationEpisodes`."""
    users = _joined([scenario.evaluation_users for scenario in scenarios])
    candidates = _joined([scenario.candidates for scenario in scenarios])
    return {
        "pair_start": starts_of([len(scenario.evaluation_users) for scenario in scenarios]),
        "pair_user": users,
        "pair_item": _joined([scenario.evaluation_items for scenario in scenarios]),
        "pair_user_known": _known(known and known.users, users),
        "candidate_start": starts_of([len(scenario.candidates) for scenario in scenarios]),
        "candidate": candidates,
        "candidate_known": _known(known and known.items, candidates),
    }


def check_can_be_asked(scenario: HeldOutScenario) -> None:
    """Refuses a held-out scenario without support or question, or with odd items.

    Raises:
      ValueError: It is so.
    """
    count, candidates = len(scenario.support_users), scenario.candidates
    if count == 0 or len(scenario.evaluation_users) == 0 or len(candidates) < 2:
        raise ValueError(
            f"Scenario {scenario.name!r} must have a support pair, an evaluation pair and two "
            f"items. Received: {count}, {len(scenario.evaluation_users)} and {len(candidates)}."
        )
    if not np.isin(scenario.evaluation_items, candidates).all():
        raise ValueError(
            f"Scenario {scenario.name!r} asks for items that are not among its candidates."
        )


def _draw_support(
    scenario: HeldOutScenario, config: EpisodeConfig, in_order: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    count, candidates = len(scenario.support_users), scenario.candidates
    order = np.arange(count) if in_order else rng.permutation(count)
    chosen = np.resize(order, config.support_positives)
    users, items = scenario.support_users[chosen], scenario.support_items[chosen]
    negatives_of = np.arange(config.support_negatives) % config.support_positives
    own = np.searchsorted(candidates, items[negatives_of])
    other = rng.integers(len(candidates) - 1, size=config.support_negatives)
    other += other >= own
    return (
        np.concatenate([users, users[negatives_of]]),
        np.concatenate([items, candidates[other]]),
    )


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays).astype(np.int32)


def _known(known: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    return np.ones(len(rows), bool) if known is None else known[rows]
