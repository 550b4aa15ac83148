"""A training that stops in time."""

import time
from typing import Any

import tensorflow as tf


class TimeLimit(tf.keras.callbacks.Callback):
    """Stops training at the first batch after a wall-clock limit.

    An epoch that is cut short still ends with its validation and checkpoint.

    Args:
      minutes: The limit, from the beginning of `fit`.
    """

    def __init__(self, minutes: float) -> None:
        super().__init__()
        self._seconds = 60.0 * minutes
        self._end = float("inf")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        del logs
        self._end = time.monotonic() + self._seconds

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        del batch, logs
        if time.monotonic() > self._end:
            self.model.stop_training = True
