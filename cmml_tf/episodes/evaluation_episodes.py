"""Evaluation tasks: drawn once, saved and hashed, so that every system is asked the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cmml_tf.config import EpisodeConfig
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario
from cmml_tf.episodes.saved_tasks import SavedTasks, require_another
from cmml_tf.types import Support


class EvaluationEpisode(NamedTuple):
    """One held-out scenario.

    Attributes:
      name: The scenario's name.
      support: `Support` of one task ([1, S] each, length [1]).
      users: int32 [U], users whose ranking is evaluated.
      candidates: int32 [I], items to rank.
      relevant: bool [U, I], what each ranking should find.
    """

    name: str
    support: Support
    users: np.ndarray
    candidates: np.ndarray
    relevant: np.ndarray


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
      candidate_start: int64 [T + 1].
      candidate: int32 [sum of I].
    """

    names: np.ndarray
    support_user: np.ndarray
    support_item: np.ndarray
    support_label: np.ndarray
    support_length: np.ndarray
    pair_start: np.ndarray
    pair_user: np.ndarray
    pair_item: np.ndarray
    candidate_start: np.ndarray
    candidate: np.ndarray

    @classmethod
    def draw(
        cls, scenarios: Sequence[HeldOutScenario], config: EpisodeConfig, seed: int
    ) -> "EvaluationEpisodes":
        """Draws one support set a scenario: positives without repetition while there are enough.

        Args:
          scenarios: Held-out scenarios.
          config: Support sizes.
          seed: Fixes every draw.

        Raises:
          ValueError: There is no scenario, or one has no support pair, no evaluation pair, fewer
            than two items, or an evaluation item that is not among its candidates.
        """
        if not scenarios:
            raise ValueError("Evaluation needs at least one held-out scenario. Received: none.")
        support = [
            _draw_support(scenario, config, np.random.default_rng([seed, place]))
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
            pair_start=_starts([len(scenario.evaluation_users) for scenario in scenarios]),
            pair_user=_joined([scenario.evaluation_users for scenario in scenarios]),
            pair_item=_joined([scenario.evaluation_items for scenario in scenarios]),
            candidate_start=_starts([len(scenario.candidates) for scenario in scenarios]),
            candidate=_joined([scenario.candidates for scenario in scenarios]),
        )

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[EvaluationEpisode]:
        return (self.episode(place) for place in range(len(self)))

    def episode(self, place: int, support_of: int | None = None) -> EvaluationEpisode:
        """Scenario number `place`, with the support set of scenario `support_of` if given."""
        source = place if support_of is None else support_of
        one = slice(source, source + 1)
        pairs = slice(self.pair_start[place], self.pair_start[place + 1])
        candidates = self.candidate[self.candidate_start[place] : self.candidate_start[place + 1]]
        users, row = np.unique(self.pair_user[pairs], return_inverse=True)
        relevant = np.zeros((len(users), len(candidates)), bool)
        relevant[row, np.searchsorted(candidates, self.pair_item[pairs])] = True
        support = Support(
            self.support_user[one],
            self.support_item[one],
            self.support_label[one],
            self.support_length[one],
        )
        return EvaluationEpisode(str(self.names[place]), support, users, candidates, relevant)

    def swapped(self) -> Iterator[EvaluationEpisode]:
        """Each scenario with the support set of the next one (the last with the first's).

        Raises:
          ValueError: There is only one scenario.
        """
        require_another(len(self), "scenarios")
        return (self.episode(place, (place + 1) % len(self)) for place in range(len(self)))


def _draw_support(
    scenario: HeldOutScenario, config: EpisodeConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
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
    chosen = np.resize(rng.permutation(count), config.support_positives)
    users, items = scenario.support_users[chosen], scenario.support_items[chosen]
    negatives_of = np.arange(config.support_negatives) % config.support_positives
    own = np.searchsorted(candidates, items[negatives_of])
    other = rng.integers(len(candidates) - 1, size=config.support_negatives)
    other += other >= own
    return (
        np.concatenate([users, users[negatives_of]]),
        np.concatenate([items, candidates[other]]),
    )


def _starts(counts: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays).astype(np.int32)
