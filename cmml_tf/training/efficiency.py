"""What a system costs: CPU time of adapting to a task, peak memory of a process (figure 2)."""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple


class CpuTimer:
    """Seconds since it was made: `cpu` of this process, all threads, and `wall`."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.monotonic()

    @property
    def cpu(self) -> float:
        """CPU seconds, unlike the clock's not lengthened by other processes."""
        return time.process_time() - self._cpu

    @property
    def wall(self) -> float:
        """Seconds by the clock."""
        return time.monotonic() - self._wall


def median_cpu_milliseconds(call: Callable[[int], object], repeats: int) -> float:
    """Median CPU time of `call(0)` to `call(repeats - 1)`, after one call that is not counted."""
    call(0)
    taken = []
    for number in range(repeats):
        timer = CpuTimer()
        call(number)
        taken.append(timer.cpu)
    return 1e3 * statistics.median(taken)


def peak_memory_mib() -> float:
    """The most memory this process has held so far, resident, in MiB (1,048,576 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


class Cost(NamedTuple):
    """What a system took; None where it was not measured or there is nothing to measure.

    Attributes:
      steps: Training steps done.
      train_cpu_seconds, train_seconds: Of the training, validation included; where a training was
        resumed, those of the process that ended it, scaled to all epochs.
      adapt_ms: CPU milliseconds to adapt to one task.
      score_ms: CPU milliseconds to score 100 pairs (user setting: the query) of an adapted task.
      peak_memory_mib: Of the process that trained and evaluated it.
      memory_before_mib: Of it, what Python, TensorFlow and the data had taken before.
    """

    steps: int = 0
    train_cpu_seconds: float | None = None
    train_seconds: float | None = None
    adapt_ms: float | None = None
    score_ms: float | None = None
    peak_memory_mib: float | None = None
    memory_before_mib: float | None = None
