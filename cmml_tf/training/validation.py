"""Validation after each epoch: what early stopping, the learning rate and checkpoints look at."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

MONITOR = "val_recall@20"
"""Validation Recall@20, higher is better."""


class Validation(tf.keras.callbacks.Callback):
    """Adds validation metrics, named `val_...`, to the epoch's logs.

    Place it before the callbacks that read them.

    Args:
      evaluate: Gives the metrics of the model as it is.
    """

    def __init__(self, evaluate: Callable[[], dict[str, float]]) -> None:
        super().__init__()
        self._evaluate = evaluate

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del epoch
        logs.update({f"val_{name}": value for name, value in self._evaluate().items()})
