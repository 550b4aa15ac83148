"""A training ends at its first loss that is no number, and says what to look at."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf


class FiniteLoss(tf.keras.callbacks.Callback):
    """Raises behind an epoch whose loss is NaN or infinite, before its weights are saved.

    A loss may be finite all the same: a ReLU that is computed with its product makes 0 of NaN. So
    gradients and weights are looked at, too. Place it before the callbacks that evaluate and save.

    Args:
      steps_per_call: Training steps of one call of the graph, between which nothing is seen.

    Raises:
      ValueError: In training; the message has steps, loss, learning rate and the inputs to check.
    """

    def __init__(self, steps_per_call: int = 1) -> None:
        super().__init__()
        self._steps = steps_per_call

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del epoch
        self._check(logs)
        for weight in self.model.trainable_variables:
            if not np.isfinite(weight.numpy()).all():
                last = int(self.model.optimizer.iterations.numpy())
                loss = float(logs["loss"])
                what = f"The loss was {loss}, but {weight.name} was NaN or inf behind step {last}"
                raise ValueError(_message(self.model, what))

    def _check(self, logs: dict[str, Any]) -> None:
        """Both are means since the epoch began: what one step makes of them stays."""
        last = int(self.model.optimizer.iterations.numpy())
        several = f"in one of the steps {last - self._steps + 1} to {last}"
        when = f"at step {last}" if self._steps == 1 else several
        if not math.isfinite(logs["loss"]):
            raise ValueError(_message(self.model, f"The loss became {float(logs['loss'])} {when}"))
        if math.isnan(logs.get("gradient_norm", 0.0)):
            raise ValueError(_message(self.model, f"The gradients became nan {when}"))


class FiniteStepLoss(FiniteLoss):
    """The same behind each call, where this process sees the steps (all but parameter servers)."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        del batch
        self._check(logs)


def _message(model: tf.keras.Model, what: str) -> str:
    rate = float(model.optimizer.learning_rate)
    inputs = " ".join(_look_at(model))
    return (
        f"{what} with a learning rate of {rate:g}, so the training has ended; nothing was "
        f"exported. {inputs} Where these are right, start again in another `run_dir` with a "
        "smaller `learning_rate` or with `gradient_clip`."
    )


def _look_at(model: tf.keras.Model) -> Iterator[str]:
    """What to check of each input: its first row that is not finite, or its largest value."""
    tables = list(_inputs(model))
    for name, table in tables:
        values = np.abs(table.reshape(len(table), -1))
        is_finite = np.isfinite(values).all(axis=1)
        if not is_finite.all():
            yield f"Row {int(np.argmin(is_finite))} of the {name} has NaN or infinite values."
        else:
            row = int(np.argmax(values.max(axis=1)))
            yield f"Check the {name}: the largest value is {values.max():g}, in row {row}."


def _inputs(model: tf.keras.Model) -> Iterator[tuple[str, np.ndarray]]:
    """What the model is given and does not learn: names and tables of one row an id."""
    embedding = model.tables if model.by_key else getattr(model, "pair_embedding", None)
    for side in ("user", "item"):
        table = getattr(embedding, f"{side}_table", None)
        if table is not None:
            yield f"{side} embeddings", table.numpy()
        for field in getattr(embedding, f"{side}_fields", ()):
            if field.feature.kind == "numeric":
                yield f"{side} feature {field.feature.name}", field.values.numpy()
