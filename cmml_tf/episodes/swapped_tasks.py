"""Which other task a swapped support set is from."""

from collections.abc import Sequence

import numpy as np

from cmml_tf.episodes.saved_tasks import require_another


def others(tasks: int, draw: int, kind: str) -> np.ndarray:
    """int64 [T]: for each task another one, uniform among all others.

    Args:
      tasks: T.
      draw: Which draw; the same numbers give the same tasks.
      kind: What tasks are called, for the message.

    Raises:
      ValueError: There is only one task.
    """
    require_another(tasks, kind)
    beyond = np.random.default_rng([draw, tasks]).integers(1, tasks, tasks)
    return (np.arange(tasks) + beyond) % tasks


def starts(counts: Sequence[int]) -> np.ndarray:
    """int64 [T + 1]: where each of T parts of these sizes begins."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
