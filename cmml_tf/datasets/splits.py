"""Who is trained on and who is asked: the protocol that keeps evaluation unseen.

* Scenarios are meta-train, validation or meta-test ones, disjoint.
* Users are split once: an evaluation user is in no meta-training pair and in no support set.
* In each scenario a random part of the users is background: their pairs there only fit the
  pre-trained embeddings, so training and evaluation pairs are equally unknown to those.
* In a meta-train scenario the other users' pairs are trained on (an evaluation user's become
  background); in a held-out one they are support, and those of evaluation users are asked.
* Scenarios may share items. A pair that one role claims has no other: meta-test comes first, then
  validation, then meta-train, then background.
* Pairs of items outside every scenario are background.
"""

import numpy as np

from cmml_tf.config import SplitConfig
from cmml_tf.datasets.held_out import draw_support, validation_size
from cmml_tf.datasets.scenario_data import HeldOutScenario, Scenario, ScenarioData
from cmml_tf.datasets.scenarios import ScenarioPairs


def split_scenarios(pairs: ScenarioPairs, split: SplitConfig, seed: int) -> ScenarioData:
    """Splits scenarios and users for meta-learning.

    A held-out scenario that is left without support or without evaluation pairs (one of a single
    user, for instance) and a meta-train scenario left without pairs or with a single item are
    dropped and counted; their pairs become background.

    Args:
      pairs: The scenarios.
      split: Shares and caps.
      seed: Fixes scenarios, users and the order of support pairs.

    Raises:
      ValueError: There are too few scenarios or users for the shares asked for, or none is left.
    """
    rng = np.random.default_rng(seed)
    test, validation, train = _split_names(pairs, split, rng)
    is_evaluation = _evaluation_users(pairs, split, rng)
    parts = _Parts(pairs, split, is_evaluation, rng)
    # The order is the precedence: what meta-test holds is never validated on, or trained on.
    meta_test = parts.held_out(test)
    validated = parts.held_out(validation)
    meta_train = parts.meta_train(train)
    for role, kept, found in (
        ("meta_test", meta_test, test),
        ("validation", validated, validation),
        ("meta-training", meta_train, train),
    ):
        if len(kept) < min(len(found), 2 if found is train else 1):
            raise ValueError(
                f"Of the {len(found)} {role.replace('_', '-')} scenarios of {pairs.name} "
                f"{len(kept)} are left: the others have too few users to divide (a scenario needs "
                "users who support and users who are asked). Lower background_fraction, raise "
                "min_interactions, or give more data."
            )
    background = parts.background()
    known = ~is_evaluation[pairs.users]
    counts = {
        **pairs.counts,
        "scenarios without support, evaluation or training pairs, dropped": parts.dropped,
        "evaluation users": int(is_evaluation.sum()),
        "meta-train scenarios": len(meta_train),
        "validation scenarios": len(validated),
        "meta-test scenarios": len(meta_test),
        "background pairs": int(background.sum()),
        "meta-train pairs": sum(len(s.users) for s in meta_train),
        "validation support pairs": sum(len(s.support_users) for s in validated),
        "validation evaluation pairs": sum(len(s.evaluation_users) for s in validated),
        "meta-test support pairs": sum(len(s.support_users) for s in meta_test),
        "meta-test evaluation pairs": sum(len(s.evaluation_users) for s in meta_test),
        "support pairs beyond max_support_pairs, unused": parts.beyond_cap,
    }
    return ScenarioData(
        name=pairs.name,
        user_ids=pairs.user_ids,
        item_ids=pairs.item_ids,
        meta_train=tuple(meta_train),
        validation=tuple(validated),
        meta_test=tuple(meta_test),
        background_users=pairs.users[background],
        background_items=pairs.items[background],
        history_users=pairs.users[known],
        history_items=pairs.items[known],
        user_embeddings=pairs.user_embeddings,
        item_embeddings=pairs.item_embeddings,
        counts=counts,
    )


def _split_names(
    pairs: ScenarioPairs, split: SplitConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    total = len(pairs.scenario_names)
    test = max(1, round(total * split.meta_test_fraction))
    validation = validation_size(total - test, split.validation_fraction)
    if total - test - validation < 2:
        raise ValueError(
            f"{pairs.name} has {total} scenarios; {test} for meta-test and {validation} for "
            "validation leave fewer than 2 to learn from. Lower min_items or min_interactions, "
            "choose another definition, or lower the fractions."
        )
    order = rng.permutation(total)
    return (
        np.sort(order[:test]),
        np.sort(order[test : test + validation]),
        np.sort(order[test + validation :]),
    )


def _evaluation_users(
    pairs: ScenarioPairs, split: SplitConfig, rng: np.random.Generator
) -> np.ndarray:
    total = len(pairs.user_ids)
    chosen = round(total * split.evaluation_user_fraction)
    if not 0 < chosen < total:
        raise ValueError(
            f"`evaluation_user_fraction` must leave users on both sides. Received: "
            f"evaluation_user_fraction={split.evaluation_user_fraction} of {total} users."
        )
    is_evaluation = np.zeros(total, bool)
    is_evaluation[rng.permutation(total)[:chosen]] = True
    return is_evaluation


class _Parts:
    """Hands out the pairs, role by role, and remembers which are taken."""

    def __init__(
        self,
        pairs: ScenarioPairs,
        split: SplitConfig,
        is_evaluation: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        self._pairs = pairs
        self._split = split
        self._is_evaluation = is_evaluation
        self._rng = rng
        numbers = np.arange(len(pairs.scenario_names) + 1)
        self._bounds = np.searchsorted(pairs.scenario, numbers)
        self._pool_bounds = np.searchsorted(pairs.pool_scenario, numbers)
        self._claimed = np.zeros(len(pairs.users), bool)
        self._unused = np.zeros(len(pairs.users), bool)
        self.dropped = 0

    def held_out(self, numbers: np.ndarray) -> list[HeldOutScenario]:
        before = self._claimed.copy()
        scenarios = []
        for number in numbers:
            pair, candidates = self._foreground(number)
            pair = pair[~before[pair]]
            users, items = self._pairs.users[pair], self._pairs.items[pair]
            asked = self._is_evaluation[users]
            if asked.all() or not asked.any():
                self.dropped += 1
                continue
            # Places among the pairs are drawn with the users, so that the unused ones are known.
            support_users, support = draw_support(
                users[~asked], pair[~asked], self._split.max_support_pairs, self._rng
            )
            self._unused[pair[~asked]] = True
            self._claimed[support] = True
            self._claimed[pair[asked]] = True
            scenarios.append(
                HeldOutScenario(
                    name=self._pairs.scenario_names[number],
                    support_users=support_users,
                    support_items=self._pairs.items[support],
                    evaluation_users=users[asked],
                    evaluation_items=items[asked],
                    candidates=candidates,
                )
            )
        return scenarios

    def meta_train(self, numbers: np.ndarray) -> list[Scenario]:
        before = self._claimed.copy()
        scenarios = []
        for number in numbers:
            pair, candidates = self._foreground(number)
            pair = pair[~before[pair] & ~self._is_evaluation[self._pairs.users[pair]]]
            if not len(pair) or len(candidates) < 2:
                self.dropped += 1
                continue
            self._claimed[pair] = True
            scenarios.append(
                Scenario(
                    name=self._pairs.scenario_names[number],
                    users=self._pairs.users[pair],
                    items=self._pairs.items[pair],
                    candidates=candidates,
                )
            )
        return scenarios

    def background(self) -> np.ndarray:
        """bool [P]: the pairs that no role has taken and no cap has cut."""
        return ~self._claimed & ~self._unused

    @property
    def beyond_cap(self) -> int:
        return int((self._unused & ~self._claimed).sum())

    def _foreground(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of the scenario's users that are not background there, and all its items."""
        pair = self._pairs.pair[self._bounds[number] : self._bounds[number + 1]]
        pool = self._pairs.pool_item[self._pool_bounds[number] : self._pool_bounds[number + 1]]
        candidates = np.union1d(self._pairs.items[pair], pool)
        users = self._pairs.users[pair]
        distinct = self._rng.permutation(np.unique(users))
        aside = distinct[: round(len(distinct) * self._split.background_fraction)]
        return pair[~np.isin(users, aside)], candidates
