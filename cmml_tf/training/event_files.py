"""TensorBoard's event files, with a sentence where they cannot be written."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from cmml_tf.files import make_folder
from cmml_tf.training.checkpoint_files import refusals_of_tensorflow_named


def write_curves(folder: Path, title: str, lines: Mapping[str, Mapping[int, float]]) -> None:
    """Writes lines of one chart, anew.

    Args:
      folder: Holds a folder a line, which is removed first: TensorBoard shows all it finds there.
      title: Of the chart.
      lines: Name to place to value; what is NaN is left out.

    Raises:
      OSError: The disk refuses.
    """
    for name, values in lines.items():
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        with refusals_of_tensorflow_named(folder):
            writer = tf.summary.create_file_writer(str(make_folder(place)))
            with writer.as_default():
                for step, value in values.items():
                    if not math.isnan(value):
                        tf.summary.scalar(title, value, step=step)
            writer.close()


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
