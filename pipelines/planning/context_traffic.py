"""How often a cached context is found: a simulated caller's cache, and the same by formula."""

from dataclasses import dataclass

import numpy as np

from cmml_tf.client.context_cache import ContextCache

_HEAD = 20_000
_TAIL_GROUPS = 400


class Zipf:
    """Popularity of N keys: the k-th has a share in proportion to k^-s.

    The first 20,000 ranks are exact; of the others the sum is taken as an integral, so that a
    billion keys need no memory.

    Args:
      keys: N, at least 1.
      exponent: s, zero (all alike) or more.

    Raises:
      ValueError: A value is not accepted.
    """

    def __init__(self, keys: int, exponent: float) -> None:
        if keys < 1 or exponent < 0:
            raise ValueError(
                "`keys` must be at least 1 and `exponent` zero or more. "
                f"Received: keys={keys}, exponent={exponent}."
            )
        self._exponent = exponent
        self._head = min(keys, _HEAD)
        first, last = self._head + 0.5, keys + 0.5
        self._edges = np.array([first, last])
        if keys > self._head:
            self._edges = np.geomspace(first, last, _TAIL_GROUPS + 1)
        weights = np.arange(1, self._head + 1, dtype=np.float64) ** -exponent
        tail = np.diff(self._integral(self._edges)) if keys > self._head else np.zeros(0)
        self._total = weights.sum() + tail.sum()
        self._sums = np.cumsum(weights)
        members = np.diff(self._edges) if len(tail) else np.zeros(0)
        self.counts = np.concatenate([np.ones(self._head), members])
        """How many keys each group has; groups are the first ranks and pieces of the rest."""
        self.shares = np.concatenate([weights, tail / members]) / self._total
        """Share of the requests that one key of each group has."""

    def _integral(self, rank: np.ndarray) -> np.ndarray:
        power = 1.0 - self._exponent
        return np.log(rank) if abs(power) < 1e-9 else rank**power / power

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """int64 [count], ranks from 0."""
        place = rng.random(count) * self._total
        head = np.searchsorted(self._sums, place, side="right")
        beyond = np.maximum(place - self._sums[-1], 0.0)
        power = 1.0 - self._exponent
        area = self._integral(self._edges[:1]) + beyond
        rank = (
            np.exp(area) if abs(power) < 1e-9 else np.maximum(area * power, 1e-300) ** (1 / power)
        )
        last = int(self._edges[-1] - 0.5) - 1
        tail = np.minimum(np.rint(rank).astype(np.int64) - 1, last)
        return np.where(head < self._head, head, tail)


@dataclass(frozen=True)
class Simulated:
    """What a simulated cache did, once it was warm.

    Attributes:
      hit_ratio: Share of the requests whose context was there.
      entries: Contexts kept at the end.
      seconds: Simulated time that was counted.
    """

    hit_ratio: float
    entries: int
    seconds: float


def simulate_cache(
    popularity: Zipf, rate: float, capacity: int, max_age: float, requests: int, seed: int
) -> Simulated:
    """The client's own `ContextCache` under Poisson requests; the second half of them is counted.

    Args:
      popularity: Of the contexts.
      rate: Requests a second at this cache.
      capacity: Contexts it keeps; the least recently used goes first.
      max_age: Seconds after which a context is encoded again.
      requests: Of the whole simulation.
      seed: Fixes it.
    """
    rng = np.random.default_rng(seed)
    keys = popularity.draw(requests, rng).tolist()
    times = np.cumsum(rng.exponential(1.0 / rate, requests)).tolist()
    now = [0.0]
    cache = ContextCache(capacity, max_age, clock=lambda: now[0])
    context = np.zeros(0, np.float32)
    warm = requests // 2
    hits = 0
    for place, (key, now[0]) in enumerate(zip(keys, times, strict=True)):
        digest = key.to_bytes(8, "little")
        if place == warm:
            hits = cache.hits
        if cache.get(0, digest) is None:
            cache.put(0, digest, context)
    counted = requests - warm
    return Simulated((cache.hits - hits) / counted, len(cache), times[-1] - times[warm])


def expected_hit_ratio(popularity: Zipf, rate: float, capacity: int, max_age: float) -> float:
    """The same by formula.

    A key stays in a least-recently-used cache as long as it is asked again within a characteristic
    time, the same for all keys (Che, Tung and Wang, "Hierarchical web caching systems", 2002). An
    age limit T alone gives rT / (1 + rT) for a key of rate r. Where the limit is longer than the
    characteristic time, the end of a context's life is taken as memoryless, which is exact as
    either becomes long.
    """
    rates = rate * popularity.shares
    time = _characteristic_time(rates, popularity.counts, capacity)
    found = rates * max_age  # hits that follow a miss
    if time < max_age:
        gone = np.exp(-rates * time)
        again = -np.expm1(-rates * time)
        ends = rates * gone / again  # a second
        found = np.where(
            gone > 0, again / np.maximum(gone, 1e-300) * -np.expm1(-ends * max_age), found
        )
    return float(np.sum(popularity.counts * popularity.shares * found / (1.0 + found)))


def _characteristic_time(rates: np.ndarray, counts: np.ndarray, capacity: int) -> float:
    if capacity >= counts.sum():
        return float("inf")
    low, high = 0.0, 1.0
    while np.sum(counts * -np.expm1(-rates * high)) < capacity:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        filled = np.sum(counts * -np.expm1(-rates * middle)) < capacity
        low, high = (middle, high) if filled else (low, middle)
    return high
