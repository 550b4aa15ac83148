"""TensorBoard's event files, with a sentence where they cannot be written."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from cmml_tf.files import make_folder
from cmml_tf.training.checkpoint_files import refusals_of_tensorflow_named


class EventFiles(tf.keras.callbacks.TensorBoard):
    """Writes losses and metrics of each epoch for TensorBoard.

    Args:
      folder: Where the files go.

    Raises:
      OSError: From any of its methods, where the disk refuses.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(make_folder(folder)), write_graph=False)
        self._folder = folder

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with refusals_of_tensorflow_named(self._folder):
            super().on_epoch_end(epoch, logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        with refusals_of_tensorflow_named(self._folder):
            super().on_test_end(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        with refusals_of_tensorflow_named(self._folder):
            super().on_train_end(logs)
