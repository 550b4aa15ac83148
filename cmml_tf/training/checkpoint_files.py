"""The files of a checkpoint: on disk before they count, and read before they are trusted."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from cmml_tf.files import flush, make_folder, not_written, refusals_named, write_whole

_STATE = "checkpoint"
_ENDS = (".index", ".data-00000-of-00001")
_NAME = re.compile(r'model_checkpoint_path: "ckpt-(\d+)"')


class CheckpointFiles:
    """The latest checkpoint of a folder, in the layout that `tf.train.latest_checkpoint` reads.

    A new one is flushed to disk before the file `checkpoint` names it, and only then the old one is
    removed: a kill or a power cut at any moment leaves one that is whole.

    Args:
      checkpoint: What is saved and restored.
      folder: Of this checkpoint alone.
    """

    def __init__(self, checkpoint: tf.train.Checkpoint, folder: Path) -> None:
        self._checkpoint = checkpoint
        self._folder = folder

    def save(self, number: int) -> None:
        """Saves as `ckpt-<number>` and removes all others.

        Raises:
          OSError: The disk refuses; the earlier checkpoint is still there.
        """
        name = f"ckpt-{number}"
        make_folder(self._folder)
        with refusals_of_tensorflow_named(self._folder / name):
            self._checkpoint.write(str(self._folder / name))
            flush(self._folder)
        state = f'model_checkpoint_path: "{name}"\nall_model_checkpoint_paths: "{name}"\n'
        write_whole(self._folder / _STATE, state)
        for old in self._folder.glob("ckpt-*"):
            if old.is_dir():  # what a save that was ended in the middle left
                shutil.rmtree(old)
            elif old.name.split(".")[0] != name:
                old.unlink()

    def latest(self) -> str | None:
        """Where the latest checkpoint is, with every value in it read once; None: there is none.

        Raises:
          ValueError: A file of it is missing, cut short or damaged; the message names it.
        """
        state = self._folder / _STATE
        if not state.exists():
            # A kill may come between the first checkpoint and its name here, never later.
            later = [path for path in self._folder.glob("ckpt-*") if "ckpt-1." not in path.name]
            if any(path.is_file() for path in later):
                raise ValueError(self._damaged(state, "is missing"))
            return None
        found = _NAME.match(state.read_text(errors="replace"))
        if found is None:
            raise ValueError(self._damaged(state, "is empty or damaged"))
        prefix = self._folder / f"ckpt-{found[1]}"
        index, first = (prefix.with_name(f"{prefix.name}{end}") for end in _ENDS)
        data = next(iter(sorted(self._folder.glob(f"{prefix.name}.data-*"))), first)
        for file in (index, data):
            if not file.is_file():
                raise ValueError(self._damaged(file, "is missing"))
        file = index
        try:
            reader = tf.train.load_checkpoint(str(prefix))
            file = data
            for name in reader.get_variable_to_dtype_map():
                reader.get_tensor(name)
        except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
            raise ValueError(self._damaged(file, "is cut short or damaged")) from error
        return str(prefix)

    def _damaged(self, file: Path, what: str) -> str:
        return (
            f"{file} {what}, so the training cannot go on from it. Remove the folder "
            f"{self._folder.parent} and give the same command again: this model is then trained "
            "from its beginning."
        )


@contextmanager
def refusals_of_tensorflow_named(path: Path) -> Iterator[None]:
    """Within the context, what TensorFlow could not write is an error that names `path`.

    Raises:
      OSError: With cause and remedy.
    """
    try:
        with refusals_named(path):
            yield
    except tf.errors.OpError as error:
        # TensorFlow puts what the operating system said behind the path of a temporary file.
        reason = error.message.splitlines()[0].rsplit("; ", 1)[-1].split(" [Op:", 1)[0]
        raise OSError(not_written(path, reason)) from error
