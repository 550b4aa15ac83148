"""The capacity plan adds up, and says what it cannot do."""

import dataclasses
import json

import pytest
from capacity import (
    CapacityConfig,
    capacity_table,
    measured_rates,
    plan_capacity,
)

SMALL = CapacityConfig(users=(10**6, 10**9), simulated_requests=50_000)


@pytest.fixture(scope="module")
def lines():
    return plan_capacity(SMALL)


def test_traffic_cores_and_memory_add_up(lines):
    assert [(line.users, line.contexts) for line in lines] == [
        *((10**6, "scenario"), (10**6, "user"), (10**9, "scenario"), (10**9, "user"))
    ]
    for line in lines:
        assert line.requests_per_second == pytest.approx(line.users * 5 * 3 / 86_400)
        hits = line.expected_hit_ratio
        cores = line.requests_per_second * (hits / 702 + (1 - hits) / 191) / 0.6
        assert line.cores == line.replicas * 8
        assert cores <= line.cores
        assert line.replicas % line.user_shards == 0
        assert line.memory_gib <= 32
    by_hand = 0.6 + 2 * (1_400_000 + 10**6) * 128 * 4 / 2**30
    by_hand += lines[0].cached_contexts * (256 * 4 + 300) / 2**30
    assert lines[0].memory_gib == pytest.approx(by_hand)
    # 954 GiB of user embeddings in two versions do not fit into a replica of 32 GiB.
    assert lines[0].user_shards == 1
    assert 30 < lines[2].user_shards < 40


def test_contexts_per_user_are_found_less_often_and_cost_more_cores(lines):
    for scenario, user in ((lines[0], lines[1]), (lines[2], lines[3])):
        assert user.hit_ratio < scenario.hit_ratio
        assert user.cores >= scenario.cores


def test_table_has_the_same_figures(lines):
    table = capacity_table(lines).splitlines()
    assert len(table) == 2 + len(lines)
    assert f"| {lines[3].cores:,} |" in table[-1]
    assert table[-1].startswith("| 1,000,000,000 | user | 173,611 |")
    json.dumps([dataclasses.asdict(line) for line in lines])


def test_measured_figures_are_read():
    rates = {"plain, full, 8 clients": 136, "plain, with_context, 8 clients": 445}
    figures = {"serve": {"requests_per_second": rates}}
    expected = {"full_per_core": 68.0, "with_context_per_core": 222.5}
    assert measured_rates(figures, 2, batching=False) == expected
    with pytest.raises(ValueError, match=r"must be the JSON that benchmark.py serve prints"):
        measured_rates(figures, 2, batching=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"users": ()}, r"`users` must be a positive number"),
        ({"cores": 0}, r"`cores` must be a positive number. Received: cores=0"),
        ({"user_exponent": -1}, r"`user_exponent` must be zero or more"),
        ({"utilisation": 1.5}, r"`utilisation` must be at most 1"),
        ({"memory_gib": 1.0}, r"`memory_gib` must hold a server, the item table"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        CapacityConfig(**changes)
