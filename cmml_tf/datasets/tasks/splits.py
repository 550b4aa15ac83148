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

import hashlib
from collections.abc import Callable

import numpy as np

from cmml_tf.config import SplitConfig
from cmml_tf.datasets.tasks.held_out import draw_support, validation_size
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, Scenario, ScenarioData
from cmml_tf.datasets.tasks.scenarios import ScenarioPairs


def split_scenarios(
    pairs: ScenarioPairs, split: SplitConfig, seed: int, keyed: bool = False
) -> ScenarioData:
    """Splits scenarios and users for meta-learning.

    A held-out scenario that is left without support or without evaluation pairs (one of a single
    user, for instance) and a meta-train scenario left without pairs or with a single item are
    dropped and counted; their pairs become background.

    Args:
      pairs: The scenarios.
      split: Shares and caps.
      seed: Fixes scenarios, users and the order of support pairs.
      keyed: The draws of a scenario depend on the seed and its name alone (`scenario_generator`),
        as in preparation, where scenarios are split apart from each other. By default one stream
        of numbers serves all scenarios in turn; the rules are the same.

    Raises:
      ValueError: There are too few scenarios or users for the shares asked for, or none is left.
    """
    rng = np.random.default_rng(seed)
    test, validation, train = choose_roles(pairs.name, len(pairs.scenario_names), split, rng)
    is_evaluation = choose_evaluation_users(len(pairs.user_ids), split, rng)
    rng_of = (lambda name: scenario_generator(seed, name)) if keyed else (lambda _: rng)
    parts = _Parts(pairs, split, is_evaluation, rng_of)
    # The order is the precedence: what meta-test holds is never validated on, or trained on.
    meta_test = parts.held_out(test)
    validated = parts.held_out(validation)
    meta_train = parts.meta_train(train)
    check_left(pairs.name, "meta-test", len(meta_test), len(test))
    check_left(pairs.name, "validation", len(validated), len(validation))
    check_left(pairs.name, "meta-training", len(meta_train), len(train))
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


def choose_roles(
    name: str, total: int, split: SplitConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the meta-test, validation and meta-train scenarios of a data set, sorted.

    Raises:
      ValueError: Fewer than two are left to learn from.
    """
    test = max(1, round(total * split.meta_test_fraction))
    validation = validation_size(total - test, split.validation_fraction)
    if total - test - validation < 2:
        raise ValueError(
            f"{name} has {total} scenarios; {test} for meta-test and {validation} for "
            "validation leave fewer than 2 to learn from. Lower min_items or min_interactions, "
            "choose another definition, or lower the fractions."
        )
    order = rng.permutation(total)
    return (
        np.sort(order[:test]),
        np.sort(order[test : test + validation]),
        np.sort(order[test + validation :]),
    )


def choose_evaluation_users(total: int, split: SplitConfig, rng: np.random.Generator) -> np.ndarray:
    """bool [total]: who is only ever asked.

    Raises:
      ValueError: That is nobody, or everybody.
    """
    chosen = round(total * split.evaluation_user_fraction)
    if not 0 < chosen < total:
        raise ValueError(
            f"`evaluation_user_fraction` must leave users on both sides. Received: "
            f"evaluation_user_fraction={split.evaluation_user_fraction} of {total} users."
        )
    is_evaluation = np.zeros(total, bool)
    is_evaluation[rng.permutation(total)[:chosen]] = True
    return is_evaluation


def scenario_generator(seed: int, name: str) -> np.random.Generator:
    """The source of a scenario's own draws, whatever other scenarios there are."""
    key = hashlib.sha256(name.encode()).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(key, "little")])


def foreground(users: np.ndarray, split: SplitConfig, rng: np.random.Generator) -> np.ndarray:
    """bool [N]: the pairs of a scenario whose users [N] are not background there."""
    distinct = rng.permutation(np.unique(users))
    aside = distinct[: round(len(distinct) * split.background_fraction)]
    return ~np.isin(users, aside)


def check_left(name: str, role: str, kept: int, found: int) -> None:
    """Refuses a role of which nothing, or of meta-training less than two scenarios, is left.

    Raises:
      ValueError: It is so.
    """
    if kept < min(found, 2 if role == "meta-training" else 1):
        raise ValueError(
            f"Of the {found} {role} scenarios of {name} {kept} are left: the others have too few "
            "users to divide (a scenario needs users who support and users who are asked). Lower "
            "background_fraction, raise min_interactions, or give more data."
        )


class _Parts:
    """Hands out the pairs, role by role, and remembers which are taken."""

    def __init__(
        self,
        pairs: ScenarioPairs,
        split: SplitConfig,
        is_evaluation: np.ndarray,
        rng_of: Callable[[str], np.random.Generator],
    ) -> None:
        self._pairs = pairs
        self._split = split
        self._is_evaluation = is_evaluation
        self._rng_of = rng_of
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
            rng = self._rng_of(self._pairs.scenario_names[number])
            pair, candidates = self._foreground(number, rng)
            pair = pair[~before[pair]]
            users, items = self._pairs.users[pair], self._pairs.items[pair]
            asked = self._is_evaluation[users]
            if asked.all() or not asked.any():
                self.dropped += 1
                continue
            # Places among the pairs are drawn with the users, so that the unused ones are known.
            support_users, support = draw_support(
                users[~asked], pair[~asked], self._split.max_support_pairs, rng
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
            rng = self._rng_of(self._pairs.scenario_names[number])
            pair, candidates = self._foreground(number, rng)
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

    def _foreground(self, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of the scenario's users that are not background there, and all its items."""
        pair = self._pairs.pair[self._bounds[number] : self._bounds[number + 1]]
        pool = self._pairs.pool_item[self._pool_bounds[number] : self._pool_bounds[number + 1]]
        candidates = np.union1d(self._pairs.items[pair], pool)
        return pair[foreground(self._pairs.users[pair], self._split, rng)], candidates
