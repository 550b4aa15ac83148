"""Work in a process of its own: its peak memory is its own, and it ends when its parent does."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from cmml_tf.files import make_folder


def run_alone(module: str, arguments: Sequence[str], log: Path) -> None:
    """Runs a module of this folder as a program and waits for it.

    Args:
      module: Its name; it calls `end_with_parent` first.
      arguments: Of its command line.
      log: What it prints goes there, behind what is in it.

    Raises:
      OSError: It failed; says what it wrote last.
    """
    # The package may lie in a checkout without being installed.
    root = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join([root, *filter(None, [os.getenv("PYTHONPATH")])])
    make_folder(log.parent)
    with (
        log.open("a") as file,
        subprocess.Popen(
            [sys.executable, "-m", f"cmml_tf.experiments.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": search},
        ) as process,
    ):
        status = process.wait()
    if status != 0:
        last = log.read_text().strip().splitlines()[-1:]
        raise OSError(
            f"{module} {' '.join(arguments)} ended with status {status}: {' '.join(last)} "
            f"(all of it: {log})"
        )


def end_with_parent() -> None:
    """Watches standard input: when it ends, so does this process, whatever it does."""
    threading.Thread(target=_end_with_input, daemon=True).start()


def _end_with_input() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)
