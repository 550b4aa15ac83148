"""How many replicas serve how many users: traffic, context caches, cores and memory."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from context_traffic import Zipf, expected_hit_ratio, simulate_cache

Owner = Literal["scenario", "user"]
"""Whose support set a context is made of."""

_GIB = 2**30
_ROUNDS = 30


@dataclass(frozen=True)
class CapacityConfig:
    """Traffic, and what one core and one replica can do."""

    users: tuple[int, ...] = (10**6, 10**8, 10**9)
    """Users of the service, one line of the table each."""
    requests_per_user_a_day: float = 5.0
    """Requests of a user on average."""
    peak_to_mean: float = 3.0
    """Requests a second in the busiest hour over those of the day's mean."""
    scenarios: int = 10_000
    """Scenarios (theme pages, campaigns) at a time."""
    scenario_exponent: float = 0.9
    """Zipf exponent of the scenarios' popularity."""
    user_exponent: float = 0.6
    """Zipf exponent of the users' activity."""
    cached_contexts: int = 200_000
    """Contexts that a caller's cache keeps; there is one beside each replica."""
    max_age_seconds: float = 300.0
    """Age at which a cached context is encoded again."""
    full_per_core: float = 191.0
    """Requests a second of one core that encode a context and score 100 candidates (measured)."""
    with_context_per_core: float = 702.0
    """Requests a second of one core that come with a context (measured)."""
    utilisation: float = 0.6
    """Share of a core that is planned with; the rest is for swaps and peaks within the hour."""
    cores: int = 8
    """Cores of a replica."""
    memory_gib: float = 32.0
    """Memory of a replica."""
    process_gib: float = 0.6
    """Memory of a server without tables."""
    versions: int = 2
    """Versions in memory during a swap."""
    items: int = 1_400_000
    """Rows of the item table."""
    dimension: int = 128
    """Width of a user and of an item embedding; a context is twice as wide."""
    simulated_requests: int = 1_000_000
    """Requests of each cache simulation; the second half is counted."""
    seed: int = 0
    """Fixes the simulations."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "users", tuple(self.users))
        for name, value in vars(self).items():
            values = value if isinstance(value, tuple) else (value,)
            accepted, least = "a positive number", 0.0
            if name == "seed" or name.endswith("exponent"):
                accepted, least = "zero or more", -1e-12
            if not values or not all(one > least for one in values):
                raise ValueError(f"`{name}` must be {accepted}. Received: {name}={value!r}.")
        if self.utilisation > 1:
            raise ValueError(
                f"`utilisation` must be at most 1. Received: utilisation={self.utilisation}."
            )
        if self._free_gib() <= 0:
            raise ValueError(
                "`memory_gib` must hold a server, the item table and the cache. "
                f"Received: memory_gib={self.memory_gib}."
            )

    def context_bytes(self) -> int:
        """Of one cached context: 2 d float32 numbers, and the entry around them."""
        return 2 * self.dimension * 4 + 300

    def table_gib(self, rows: int) -> float:
        """Of one embedding table in all loaded versions."""
        return self.versions * rows * self.dimension * 4 / _GIB

    def cache_gib(self, entries: int) -> float:
        """Of that many contexts."""
        return entries * self.context_bytes() / _GIB

    def user_shards(self, users: int) -> int:
        """Parts into which users are divided, each with its own replicas and user table."""
        return math.ceil(self.table_gib(users) / self._free_gib())

    def _free_gib(self) -> float:
        fixed = self.process_gib + self.table_gib(self.items)
        return self.memory_gib - fixed - self.cache_gib(self.cached_contexts)


@dataclass(frozen=True)
class Capacity:
    """One line of the capacity table.

    Attributes:
      users: Users of the service.
      contexts: Whose contexts they are.
      requests_per_second: At the peak.
      hit_ratio: Of the simulated cache.
      expected_hit_ratio: By formula; the number of replicas rests on it.
      user_shards: Parts into which users are divided because their table exceeds a replica.
      replicas: In all shards.
      cores: Of all replicas.
      memory_gib: Of one replica: server, tables of all loaded versions, contexts.
      cached_contexts: Kept by a caller's cache in the simulation.
    """

    users: int
    contexts: Owner
    requests_per_second: float
    hit_ratio: float
    expected_hit_ratio: float
    user_shards: int
    replicas: int
    cores: int
    memory_gib: float
    cached_contexts: int


def plan_capacity(config: CapacityConfig) -> list[Capacity]:
    """A line for each number of users, with contexts per scenario and per user.

    There is a cache beside each replica. Requests of a user go to the same one, so contexts per
    user are divided among the caches; every cache sees every scenario. More replicas thus make
    contexts per scenario rarer in each cache: their number is found by iteration.
    """
    return [_line(config, users, owner) for users in config.users for owner in get_args(Owner)]


def _line(config: CapacityConfig, users: int, owner: Owner) -> Capacity:
    rate = users * config.requests_per_user_a_day * config.peak_to_mean / 86_400
    shards = config.user_shards(users)
    replicas = shards
    for _ in range(_ROUNDS):
        traffic = _traffic(config, users, owner, rate, replicas)
        expected = expected_hit_ratio(*traffic)
        needed = max(shards, math.ceil(_cores(config, rate, expected) / config.cores))
        needed = math.ceil(needed / shards) * shards
        if needed == replicas:
            break
        replicas = needed
    simulated = simulate_cache(*traffic, config.simulated_requests, config.seed)
    tables = config.table_gib(config.items) + config.table_gib(math.ceil(users / shards))
    return Capacity(
        users=users,
        contexts=owner,
        requests_per_second=rate,
        hit_ratio=simulated.hit_ratio,
        expected_hit_ratio=expected,
        user_shards=shards,
        replicas=replicas,
        cores=replicas * config.cores,
        memory_gib=config.process_gib + tables + config.cache_gib(simulated.entries),
        cached_contexts=simulated.entries,
    )


def _traffic(
    config: CapacityConfig, users: int, owner: Owner, rate: float, caches: int
) -> tuple[Zipf, float, int, float]:
    """Popularity, rate, capacity and age limit of one cache."""
    if owner == "scenario":
        popularity = Zipf(config.scenarios, config.scenario_exponent)
    else:
        popularity = Zipf(max(1, users // caches), config.user_exponent)
    return popularity, rate / caches, config.cached_contexts, config.max_age_seconds


def _cores(config: CapacityConfig, rate: float, hit_ratio: float) -> float:
    seconds = hit_ratio / config.with_context_per_core + (1 - hit_ratio) / config.full_per_core
    return rate * seconds / config.utilisation


def measured_rates(figures: Mapping[str, Any], cores: int, batching: bool) -> dict[str, float]:
    """The two measured fields of `CapacityConfig` from the JSON of `benchmark.py serve`.

    Args:
      figures: The parsed JSON.
      cores: Cores on which the server, and its callers, ran.
      batching: Read the server with batching.

    Raises:
      ValueError: The JSON is of another command.
    """
    server = "batching" if batching else "plain"
    try:
        rates = figures["serve"]["requests_per_second"]
        full, context = (
            float(rates[f"{server}, {case}, 8 clients"]) for case in ("full", "with_context")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "The measured figures must be the JSON that benchmark.py serve prints. "
            f"Received one without {error}."
        ) from error
    return {"full_per_core": full / cores, "with_context_per_core": context / cores}


def capacity_table(lines: list[Capacity]) -> str:
    """The lines as a Markdown table."""
    rows = [
        "| users | contexts per | requests/s at peak | cache hits | user shards | replicas | cores "
        "| GiB a replica |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| {line.users:,} | {line.contexts} | {line.requests_per_second:,.0f} "
        f"| {line.hit_ratio:.3f} | {line.user_shards:,} | {line.replicas:,} | {line.cores:,} "
        f"| {line.memory_gib:.1f} |"
        for line in lines
    ]
    return "\n".join(rows)
