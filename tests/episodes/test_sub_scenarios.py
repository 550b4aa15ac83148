"""Parts of scenarios: half of the items, all pairs with them, the same for the same seed."""

import numpy as np
from episodes.small_data import random_scenarios, scenario

from cmml_tf.episodes.sub_scenarios import with_sub_scenarios


def test_parts_have_half_of_the_items_and_every_pair_with_them():
    scenarios = tuple(random_scenarios(4))
    made = with_sub_scenarios(scenarios, 2, seed=0)
    assert made[: len(scenarios)] == scenarios
    assert len(made) == 3 * len(scenarios)
    for place, part in enumerate(made[len(scenarios) :]):
        whole = scenarios[place // 2]
        assert part.name == f"{whole.name}, part {place % 2 + 1}"
        assert len(part.candidates) == (len(whole.candidates) + 1) // 2
        assert np.all(np.diff(part.candidates) > 0)
        wanted = {
            (user, item)
            for user, item in zip(whole.users, whole.items, strict=True)
            if item in part.candidates
        }
        assert set(zip(part.users, part.items, strict=True)) == wanted
    assert not np.array_equal(made[-1].candidates, made[-2].candidates)


def test_the_seed_fixes_the_parts():
    scenarios = tuple(random_scenarios(4))

    def items(seed):
        return [part.candidates.tolist() for part in with_sub_scenarios(scenarios, 1, seed)]

    assert items(1) == items(1) != items(2)


def test_a_part_too_small_to_learn_from_is_left_out():
    small = scenario("small", [(0, 0), (1, 1)], [0, 1])
    assert with_sub_scenarios([small], 3, seed=0) == (small,)
