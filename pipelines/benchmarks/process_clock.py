"""CPU time of other processes."""

import resource
import time


def process_seconds(pid: int) -> float:
    """CPU seconds of a running process; Linux has a clock for each, numbered so."""
    return time.clock_gettime(~pid << 3 | 2)


def children_seconds() -> float:
    """CPU seconds of all children of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
