"""Validation after each epoch: what early stopping, the learning rate and checkpoints look at."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import tensorflow as tf

from cmml_tf.training.weight_average import WeightAverage


class Validation(tf.keras.callbacks.Callback):
    """Adds validation metrics, named `val_...`, to the epoch's logs.

    Place it before the callbacks that read them.

    Args:
      evaluate: Gives the metrics of the model as it is.
      average: If given, the averaged weights are evaluated.
    """

    def __init__(
        self, evaluate: Callable[[], dict[str, float]], average: WeightAverage | None = None
    ) -> None:
        super().__init__()
        self._evaluate = evaluate
        self._average = average

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del epoch
        with nullcontext() if self._average is None else self._average.applied():
            metrics = self._evaluate()
        logs.update({f"val_{name}": value for name, value in metrics.items()})
