"""Scenario data of a few users and items, made from pairs."""

import numpy as np

from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, Scenario, ScenarioData

NONE = np.zeros(0, np.int32)


def scenario(name, pairs, candidates):
    """A meta-training scenario of (user, item) pairs."""
    users, items = np.array(pairs, np.int32).T
    return Scenario(name, users, items, np.array(sorted(candidates), np.int32))


def held_out(name, support, asked, candidates):
    """A held-out scenario of two lists of (user, item) pairs."""
    support_users, support_items = np.array(support, np.int32).reshape(-1, 2).T
    users, items = np.array(asked, np.int32).reshape(-1, 2).T
    candidates = np.array(sorted(candidates), np.int32)
    return HeldOutScenario(name, support_users, support_items, users, items, candidates)


def scenario_data(meta_train, history=(), users=50, items=50):
    """Data with meta-training scenarios alone."""
    history_users, history_items = np.array(history, np.int32).reshape(-1, 2).T
    return ScenarioData(
        name="small",
        user_ids=np.arange(users),
        item_ids=np.arange(items),
        meta_train=tuple(meta_train),
        validation=(),
        meta_test=(),
        background_users=NONE,
        background_items=NONE,
        history_users=history_users,
        history_items=history_items,
        counts={},
    )


def random_scenarios(count, seed=0, users=30, items=12, pairs=60):
    """Scenarios with items of their own, and random pairs between them and shared users."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        candidates = np.arange(items) + number * items
        chosen = rng.choice(users * items, size=pairs, replace=False)
        taken = [(code // items, candidates[code % items]) for code in chosen]
        made.append(scenario(f"scenario {number}", taken, candidates))
    return made
