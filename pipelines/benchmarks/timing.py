"""CPU time of alternatives, measured in turn so that a busy machine disturbs all alike."""

import statistics
import time
from collections.abc import Callable, Mapping


def cpu_seconds(
    alternatives: Mapping[str, Callable[[], object]], rounds: int, calls: Mapping[str, int] | int
) -> dict[str, float]:
    """Median CPU seconds of the process for one call of each alternative.

    Args:
      alternatives: What to measure, by name; called once before the first round.
      rounds: Rounds over all alternatives.
      calls: Calls a round.
    """
    for call in alternatives.values():
        call()
    measured: dict[str, list[float]] = {name: [] for name in alternatives}
    for _ in range(rounds):
        for name, call in alternatives.items():
            count = calls if isinstance(calls, int) else calls[name]
            start = time.process_time()
            for _ in range(count):
                call()
            measured[name].append((time.process_time() - start) / count)
    return {name: statistics.median(values) for name, values in measured.items()}
