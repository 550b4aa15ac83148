"""Checkpoints that a killed training continues from, as if it had not been killed."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.training.checkpoint_files import CheckpointFiles
from cmml_tf.training.weight_average import WeightAverage

# What Keras' own callbacks remember between epochs, where they have it.
_REMEMBERED = ("wait", "best", "best_epoch", "cooldown_counter", "stopped_epoch")


class _Record(tf.train.experimental.PythonState):
    """What a checkpoint holds beside variables: history and the other callbacks' memory."""

    def __init__(self) -> None:
        self.history: list[dict[str, float]] = []
        self.callbacks: list[dict[str, float]] = []

    def serialize(self) -> str:
        return json.dumps({"history": self.history, "callbacks": self.callbacks})

    def deserialize(self, string_value: str) -> None:
        vars(self).update(json.loads(string_value))


class TrainingState(tf.keras.callbacks.Callback):
    """Saves weights, optimizer, history and the other callbacks' memory after every epoch.

    All of it is one `tf.train.Checkpoint`, which becomes the latest in one rename: a kill leaves
    the state before the epoch or after it, never between. Frozen tables are not saved. What layers
    draw at random needs no saving: it follows from the seed and the optimizer's step.

    Args:
      model: A compiled model.
      folder: Where the checkpoints are.
      save_to: Where this process saves them, if it is not the one that others resume from.
      monitor: The log entry that decides which weights are the best, higher is better; None: the
        last ones are.
      remembered: Callbacks whose memory is saved too (early stopping, reduce on plateau).
      average: If given, the best weights are the averaged ones.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        folder: Path,
        monitor: str | None,
        remembered: Sequence[tf.keras.callbacks.Callback] = (),
        average: WeightAverage | None = None,
        save_to: Path | None = None,
    ) -> None:
        super().__init__()
        self._monitor = monitor
        self._remembered = list(remembered)
        self._prefix: str | None = None
        self._record = _Record()
        self._average = average
        checkpoint = tf.train.Checkpoint(
            weights=list(model.trainable_variables),
            average=[] if average is None else average.variables,
            optimizer=model.optimizer,
            record=self._record,
        )
        self._checkpoint = checkpoint
        self._shared = CheckpointFiles(checkpoint, folder / "latest")
        place = save_to or folder
        self._latest = CheckpointFiles(checkpoint, place / "latest")
        self._best = CheckpointFiles(_weights_of(model), place / "best")

    @property
    def history(self) -> list[dict[str, float]]:
        """One entry an epoch."""
        return self._record.history

    def resume(self) -> int:
        """Restores the latest state, if there is one; the number of epochs done.

        Raises:
          ValueError: It is damaged, or of another model; the message names the file.
        """
        self._prefix = self._shared.latest()
        if self._prefix is None:
            return 0
        try:
            return self._restore(self._prefix)
        except ValueError as error:
            raise ValueError(
                f"The training in {self._prefix} is of a model with other weights, such as an "
                f"earlier version of the library has, and cannot be resumed: {error}. Train in "
                "another folder, or remove this one."
            ) from error

    def _restore(self, prefix: str) -> int:
        # Slot variables of the optimizer appear at its first step and are restored then. Where
        # every step is done, they never do, which is no cause for a warning.
        self._checkpoint.read(prefix).expect_partial()
        for callback, values in zip(self._remembered, self._record.callbacks, strict=True):
            for name, value in values.items():
                setattr(callback, name, value)
        return len(self.history)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Keras' callbacks forget at the beginning of `fit`; they are told again.
        del logs
        if self._prefix is not None:
            self._restore(self._prefix)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row = {name: float(value) for name, value in logs.items()}
        earlier = [entry[self._monitor] for entry in self.history if self._monitor]
        self.history.append({"epoch": epoch + 1, **row})
        if self._monitor is None or not earlier or row[self._monitor] > max(earlier):
            with nullcontext() if self._average is None else self._average.applied():
                self._best.save(epoch + 1)
        memory = [
            {name: getattr(callback, name) for name in _REMEMBERED if hasattr(callback, name)}
            for callback in self._remembered
        ]
        self._record.callbacks = [{k: float(v) for k, v in one.items()} for one in memory]
        self._latest.save(epoch + 1)


def restore_best_weights(model: tf.keras.Model, folder: Path) -> None:
    """Sets the trainable weights of the best epoch that a `TrainingState` has saved in `folder`.

    Raises:
      FileNotFoundError: No epoch has been completed there.
      ValueError: The saved weights are another model's, or damaged.
    """
    checkpoint, best = _weights_of(model), _best(folder)
    try:
        checkpoint.read(best).assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
        raise ValueError(f"The weights in {folder} do not fit this model: {error}") from error


def best_weights(folder: Path) -> list[np.ndarray]:
    """The weights that `restore_best_weights` sets, in the order of the model's.

    Raises:
      FileNotFoundError: No epoch has been completed.
      ValueError: The weights are damaged.
    """
    reader = tf.train.load_checkpoint(_best(folder))
    saved = [name for name in reader.get_variable_to_shape_map() if name.startswith("weights/")]
    return [
        reader.get_tensor(name) for name in sorted(saved, key=lambda name: int(name.split("/")[1]))
    ]


def best_epoch(folder: Path) -> int:
    """Which epoch's weights those of `restore_best_weights` are, from 1.

    Raises:
      FileNotFoundError: No epoch has been completed.
      ValueError: The weights are damaged.
    """
    return int(_best(folder).rpartition("-")[2])


def _best(folder: Path) -> str:
    best = CheckpointFiles(tf.train.Checkpoint(), folder / "best").latest()
    if best is None:
        raise FileNotFoundError(f"{folder} holds no weights: no epoch has been completed.")
    return best


def _weights_of(model: tf.keras.Model) -> tf.train.Checkpoint:
    return tf.train.Checkpoint(weights=list(model.trainable_variables))
