"""Which other task a swapped support set is from."""

import numpy as np


def others(tasks: int, draw: int, kind: str) -> np.ndarray:
    """int64 [T]: for each task another one, uniform among all others.

    Args:
      tasks: T.
      draw: Which draw; the same numbers give the same tasks.
      kind: What tasks are called, for the message.

    Raises:
      ValueError: There is only one task.
    """
    if tasks < 2:
        raise ValueError(f"Swapping support sets needs at least two {kind}. Received: one.")
    beyond = np.random.default_rng([draw, tasks]).integers(1, tasks, tasks)
    return (np.arange(tasks) + beyond) % tasks
