"""How large a request to the served graph may be, so that no request takes the server's memory."""

from dataclasses import asdict, dataclass

MERGED_TASKS = 32
"""Tasks of the largest pair count that one call may hold.

As many as `export/batching.config` runs at a time (`max_execution_batch_size`): requests that a
server merges, and pads to the longest, are never refused for being merged.
"""


@dataclass(frozen=True)
class RequestLimits:
    """The largest request that an export admits; what is beyond fails before any work.

    A call holds at most `MERGED_TASKS` times as many pairs in all tasks together, with the padding.

    Attributes:
      support_pairs: S, the support pairs of a task, those behind `support_length` counted.
      query_pairs: Q, the query pairs of a task; also of all tasks of a call of `explain`, whose
        answer holds a few kilobytes a pair.
      tasks: B; for the Regress signature the Examples.

    Raises:
      ValueError: A limit is not a positive integer.

    Example:

    >>> RequestLimits(support_pairs=500).support_pairs_of_a_call
    16000
    """

    support_pairs: int = 4096
    query_pairs: int = 65_536
    tasks: int = 1024

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
                raise ValueError(
                    f"`{name}` must be a positive integer. Received: {name}={value!r}."
                )

    @property
    def support_pairs_of_a_call(self) -> int:
        """Support pairs of all tasks together."""
        return min(MERGED_TASKS, self.tasks) * self.support_pairs

    @property
    def query_pairs_of_a_call(self) -> int:
        """Query pairs of all tasks together."""
        return min(MERGED_TASKS, self.tasks) * self.query_pairs


DEFAULT_LIMITS = RequestLimits()
