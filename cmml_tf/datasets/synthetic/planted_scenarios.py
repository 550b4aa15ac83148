"""Planted scenarios: synthetic data where only the support set tells what a scenario likes.

A model that ignores its context cannot tell the scenarios apart, and the best possible ranking is
known, so these show whether adaptation works at all.
"""

from dataclasses import dataclass, replace

import numpy as np

from cmml_tf.datasets.tasks.held_out import halve_users
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, Scenario, ScenarioData

_FEWEST_ITEMS_OF_A_USER = 2
_MOST_ITEMS_OF_A_USER = 5


@dataclass(frozen=True)
class PlantedScenarios:
    """Planted scenarios together with what generated them.

    Attributes:
      data: The scenarios, with their embeddings; ids are row numbers.
      directions: Scenario name -> float64 [d], its hidden unit direction.
      strength: Weight of the direction in a user's choice.
      std: Standard deviation of the embeddings' elements.
    """

    data: ScenarioData
    directions: dict[str, np.ndarray]
    strength: float
    std: float

    def oracle_scores(self, name: str, users: np.ndarray) -> np.ndarray:
        """The true log-probability (up to a constant of the user) of every candidate.

        Args:
          name: A scenario.
          users: int [U], user rows.

        Returns:
          float64 [U, I], columns in the order of the scenario's `candidates`.

        Raises:
          KeyError: No scenario has this name.
        """
        parts = (*self.data.meta_train, *self.data.validation, *self.data.meta_test)
        candidates = {scenario.name: scenario.candidates for scenario in parts}[name]
        return _choice_logits(
            self.data.user_embeddings[users],
            self.data.item_embeddings[candidates],
            self.directions[name],
            self.strength,
            self.std,
        )


def planted_scenarios(
    *,
    meta_train: int = 51,
    validation: int = 5,
    meta_test: int = 17,
    items_per_scenario: int = 60,
    users: int = 3000,
    users_per_scenario: int = 400,
    dimension: int = 64,
    subspace: int = 1,
    std: float = 0.25,
    strength: float = 2.0,
    label_noise: float = 0.0,
    max_support_pairs: int = 512,
    seed: int = 0,
) -> PlantedScenarios:
    """Draws scenarios whose taste is a hidden direction, visible in the support set alone.

    User and item embeddings are normal. Each scenario has items of its own and a hidden unit
    direction in a fixed random subspace (of one dimension: a sign). A user of the scenario takes 2
    to 5 of its items without replacement, item i with probability proportional to
    `exp(strength * <direction, v_i> / std + <u, v_i> / (8 * std**2))`.

    Users are drawn anew for every scenario, so a user may be asked in one and train in another;
    nothing can be learnt about them, since the embeddings are given and are all there is.

    Args:
      meta_train: Meta-training scenarios.
      validation: Validation scenarios.
      meta_test: Meta-test scenarios.
      items_per_scenario: Items of a scenario; no item is in two.
      users: Users in all.
      users_per_scenario: Users of a scenario.
      dimension: Size of a user and of an item embedding.
      subspace: Dimensions of the subspace that the hidden directions lie in.
      std: Standard deviation of the embeddings' elements.
      strength: Weight of the hidden direction in the choice of items.
      label_noise: Share of the meta-training and support pairs whose item is replaced by any item
        of the scenario that the user has not taken; evaluation pairs stay true.
      max_support_pairs: Support pairs a held-out scenario has at the most.
      seed: Fixes everything.

    Raises:
      ValueError: A size is out of range; the message names it.
    """
    _check_at_least("meta_train", meta_train, 2)
    _check_at_least("validation", validation, 0)
    _check_at_least("meta_test", meta_test, 1)
    _check_at_least("items_per_scenario", items_per_scenario, _MOST_ITEMS_OF_A_USER)
    _check_at_least("users_per_scenario", users_per_scenario, 2)
    _check_at_least("users", users, users_per_scenario)
    _check_at_least("subspace", subspace, 1)
    _check_at_least("dimension", dimension, subspace)
    _check_at_least("max_support_pairs", max_support_pairs, 1)
    if not std > 0:
        raise ValueError(f"`std` must be a positive number. Received: std={std}.")
    if not 0 <= label_noise < 1:
        raise ValueError(
            f"`label_noise` must be at least 0 and below 1. Received: label_noise={label_noise}."
        )

    rng = np.random.default_rng(seed)
    total = meta_train + validation + meta_test
    user_embeddings = rng.normal(0.0, std, (users, dimension)).astype(np.float32)
    item_embeddings = rng.normal(0.0, std, (total * items_per_scenario, dimension)).astype(
        np.float32
    )
    basis, _ = np.linalg.qr(rng.normal(size=(dimension, subspace)))
    directions: dict[str, np.ndarray] = {}
    train: list[Scenario] = []
    held_out: list[HeldOutScenario] = []
    for number in range(total):
        name = f"planted-{number:03d}"
        coordinates = rng.normal(size=subspace)
        directions[name] = basis @ (coordinates / np.linalg.norm(coordinates))
        candidates = np.arange(items_per_scenario, dtype=np.int32) + number * items_per_scenario
        takers = np.sort(rng.choice(users, users_per_scenario, replace=False)).astype(np.int32)
        logits = _choice_logits(
            user_embeddings[takers], item_embeddings[candidates], directions[name], strength, std
        )
        pair_users, pair_items = _take_items(takers, candidates, logits, rng)
        if number < meta_train:
            pair_items = _misled(pair_users, pair_items, candidates, label_noise, rng)
            train.append(Scenario(name, pair_users, pair_items, candidates))
        else:
            halved = halve_users(name, pair_users, pair_items, candidates, max_support_pairs, rng)
            support = _misled(
                halved.support_users, halved.support_items, candidates, label_noise, rng
            )
            held_out.append(replace(halved, support_items=support))
    data = ScenarioData(
        name="planted",
        user_ids=np.arange(users, dtype=np.int64),
        item_ids=np.arange(total * items_per_scenario, dtype=np.int64),
        meta_train=tuple(train),
        validation=tuple(held_out[:validation]),
        meta_test=tuple(held_out[validation:]),
        history_users=np.concatenate([scenario.users for scenario in train]),
        history_items=np.concatenate([scenario.items for scenario in train]),
        user_embeddings=user_embeddings,
        item_embeddings=item_embeddings,
        counts={
            "meta-train scenarios": meta_train,
            "validation scenarios": validation,
            "meta-test scenarios": meta_test,
            "meta-train pairs": sum(len(scenario.users) for scenario in train),
        },
        protocol="strict",
        because="planted scenarios share nothing",
    )
    return PlantedScenarios(data, directions, strength, std)


def _choice_logits(
    user_vectors: np.ndarray,
    item_vectors: np.ndarray,
    direction: np.ndarray,
    strength: float,
    std: float,
) -> np.ndarray:
    """float64 [U, I]: what a user's log-probability of taking an item is, up to a constant."""
    item_vectors = item_vectors.astype(np.float64)
    shared = strength * (item_vectors @ direction) / std  # [I]
    personal = user_vectors.astype(np.float64) @ item_vectors.T / (8 * std**2)  # [U, I]
    return shared + personal


def _take_items(
    takers: np.ndarray, candidates: np.ndarray, logits: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    # The largest of logits + Gumbel noise are a draw without replacement, one after the other.
    ranked = np.argsort(-(logits + rng.gumbel(size=logits.shape)), axis=1)
    wanted = rng.integers(_FEWEST_ITEMS_OF_A_USER, _MOST_ITEMS_OF_A_USER + 1, len(takers))
    user_index, rank = np.nonzero(np.arange(_MOST_ITEMS_OF_A_USER)[None, :] < wanted[:, None])
    return takers[user_index], candidates[ranked[user_index, rank]]


def _misled(
    users: np.ndarray,
    items: np.ndarray,
    candidates: np.ndarray,
    share: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """The items with a share of them replaced by candidates that the pair's user has not taken."""
    if share == 0:
        return items
    items = items.copy()
    for place in np.flatnonzero(rng.random(len(items)) < share):
        untaken = np.setdiff1d(candidates, items[users == users[place]], assume_unique=True)
        if len(untaken):
            items[place] = rng.choice(untaken)
    return items


def _check_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value}.")
