"""Evaluation tasks by number of support pairs: the same questions, from no click to all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from cmml_tf.config import CurveConfig, EpisodeConfig
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario
from cmml_tf.episodes.asked.evaluation_episodes import (
    EvaluationEpisodes,
    Known,
    check_can_be_asked,
    questions,
)
from cmml_tf.episodes.asked.saved_tasks import SavedTasks
from cmml_tf.types import starts_of

POSITIVES = (0, 1, 2, 4, 8, 16, 64, 256)
_ASKED = (
    *("pair_start", "pair_user", "pair_item", "pair_user_known"),
    *("candidate_start", "candidate", "candidate_known"),
)
_MOST_USERS = 200


@dataclass(frozen=True)
class ScenarioCurve(SavedTasks):
    """T held-out scenarios whose support sets are known to any length, in D draws.

    A support set of n positives holds the first n of a draw, so each is a part of the next larger
    one; a scenario with fewer has all of its own. Negative number k is the user of positive k mod n
    with another item of the scenario.

    Attributes:
      names: str [T].
      start: int64 [T + 1], where each scenario's support positives begin.
      user, item: int32 [D, N], positives in the order of each draw.
      negative: int32 [D, N, r], items of up to r negatives of each positive.
      ratio: int64 [2], negatives for so many positives.
      pair_start, pair_user, pair_item, pair_user_known, candidate_start, candidate,
        candidate_known: What is asked, as of `EvaluationEpisodes`; of some users of each scenario.
    """

    names: np.ndarray
    start: np.ndarray
    user: np.ndarray
    item: np.ndarray
    negative: np.ndarray
    ratio: np.ndarray
    pair_start: np.ndarray
    pair_user: np.ndarray
    pair_item: np.ndarray
    pair_user_known: np.ndarray
    candidate_start: np.ndarray
    candidate: np.ndarray
    candidate_known: np.ndarray

    same_questions: ClassVar[bool] = True

    @classmethod
    def draw(
        cls,
        scenarios: Sequence[HeldOutScenario],
        config: EpisodeConfig,
        seed: int,
        known: Known | None = None,
        in_order: bool = False,
        curve: CurveConfig | None = None,
    ) -> "ScenarioCurve":
        """Draws the orders, the negatives, and who is asked.

        Args:
          scenarios: Held-out scenarios.
          config: Says how many negatives a positive has.
          seed: Fixes every draw; a scenario's own do not depend on the others.
          known: Users and items that the embeddings know; None: all.
          in_order: A support set is the first clicks as they came; draws differ in negatives.
          curve: How many draws D there are, and how many users are asked; None: as by default.

        Raises:
          ValueError: As `EvaluationEpisodes.draw`.
        """
        if not scenarios:
            raise ValueError("Evaluation needs at least one held-out scenario. Received: none.")
        curve = curve or CurveConfig()
        users = int(np.clip(curve.most_asked // len(scenarios), 1, _MOST_USERS))
        width = -(-config.support_negatives // config.support_positives)
        drawn, asked = [], []
        for place, scenario in enumerate(scenarios):
            check_can_be_asked(scenario)
            rng = np.random.default_rng([seed, place])
            asked.append(_some_users(scenario, users, rng))
            drawn.append([_one_draw(scenario, width, in_order, rng) for _ in range(curve.draws)])
        user, item, negative = (
            np.stack([np.concatenate([one[d][part] for one in drawn]) for d in range(curve.draws)])
            for part in range(3)
        )
        return cls(
            names=np.array([scenario.name for scenario in scenarios]),
            start=starts_of([len(scenario.support_users) for scenario in scenarios]),
            user=user.astype(np.int32),
            item=item.astype(np.int32),
            negative=negative.astype(np.int32),
            ratio=np.array([config.support_negatives, config.support_positives], np.int64),
            **questions(asked, known),
        )

    @property
    def draws(self) -> int:
        """D."""
        return len(self.user)

    @property
    def sizes(self) -> dict[str, int]:
        """Positives of a support set by what the size is called: 0, 1, 2, ... and `all`."""
        most = int(np.diff(self.start).max())
        return {**{str(n): n for n in POSITIVES if n < most}, "all": most}

    def tasks(self, positives: int, draw: int) -> EvaluationEpisodes:
        """The scenarios with the first `positives` of a draw as their support sets."""
        counts = np.minimum(np.diff(self.start), positives)
        sets = [
            self._support(place, int(count), draw) for place, count in enumerate(counts.tolist())
        ]
        lengths = np.array([len(users) for users, _, _ in sets], np.int32)
        padded = [np.zeros((len(sets), max(1, lengths.max())), np.int32) for _ in range(2)]
        labels = np.zeros(padded[0].shape, np.float32)
        for place, (users, items, label) in enumerate(sets):
            for array, values in zip((*padded, labels), (users, items, label), strict=True):
                array[place, : len(values)] = values
        asked = {name: getattr(self, name) for name in _ASKED}
        return EvaluationEpisodes(self.names, *padded, labels, lengths, **asked)

    def places(self, positives: int, draw: int) -> None:
        """Nowhere: what is reported has support sets of another size, drawn otherwise."""
        del positives, draw

    def with_known(self, known: Known) -> "ScenarioCurve":
        """The same questions to a model that knows these users and items."""
        return replace(
            self,
            pair_user_known=known.users[self.pair_user],
            candidate_known=known.items[self.candidate],
        )

    def _support(
        self, place: int, count: int, draw: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        own = slice(self.start[place], self.start[place] + count)
        users, items = self.user[draw, own], self.item[draw, own]
        negatives = round(count * int(self.ratio[0]) / int(self.ratio[1]))
        turn, of = np.divmod(np.arange(negatives), max(count, 1))
        other = self.negative[draw, own][of, turn] if negatives else items[:0]
        return (
            np.concatenate([users, users[of]]),
            np.concatenate([items, other]),
            np.repeat(np.float32([1.0, 0.0]), [count, negatives]),
        )


def _some_users(scenario: HeldOutScenario, most: int, rng: np.random.Generator) -> HeldOutScenario:
    """The scenario with all that is asked of some of its users, at the most so many."""
    chosen = rng.permutation(np.unique(scenario.evaluation_users))[:most]
    kept = np.isin(scenario.evaluation_users, chosen)
    return replace(
        scenario,
        evaluation_users=scenario.evaluation_users[kept],
        evaluation_items=scenario.evaluation_items[kept],
    )


def _one_draw(
    scenario: HeldOutScenario, width: int, in_order: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count, candidates = len(scenario.support_users), scenario.candidates
    order = np.arange(count) if in_order else rng.permutation(count)
    users, items = scenario.support_users[order], scenario.support_items[order]
    other = rng.integers(len(candidates) - 1, size=(count, width))
    other += other >= np.searchsorted(candidates, items)[:, None]
    return users, items, candidates[other]
