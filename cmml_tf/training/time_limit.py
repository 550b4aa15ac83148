"""A training that stops in time."""

import time
from collections.abc import Callable
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


class EpochTimeLimit(tf.keras.callbacks.Callback):
    """Stops training at the first end of an epoch behind a wall-clock limit.

    For trainings of several processes, which must stop at the same step.

    Args:
      minutes: The limit, from the beginning of `fit`.
      agreed: Gives all processes the same values, as `strategies.agreed` does.
    """

    def __init__(
        self, minutes: float, agreed: Callable[[dict[str, float]], dict[str, float]]
    ) -> None:
        super().__init__()
        self._seconds = 60.0 * minutes
        self._agreed = agreed
        self._end = float("inf")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        del logs
        self._end = time.monotonic() + self._seconds

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del epoch, logs
        # One process whose time is over ends all.
        if self._agreed({"over": float(time.monotonic() > self._end)})["over"] > 0:
            self.model.stop_training = True
