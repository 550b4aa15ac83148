"""Work in a process of its own: its peak memory is its own, and it ends when its parent does."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from cmml_tf.files import make_folder


def run_alone(script: str, arguments: Sequence[str], log: Path) -> None:
    """Runs a script of this folder and waits for it.

    Args:
      script: Its file name; it calls `end_with_parent` first.
      arguments: Of its command line.
      log: What it prints goes there, behind what is in it.

    Raises:
      OSError: It failed; says what it wrote last.
    """
    path = Path(__file__).resolve().with_name(script)
    # The package may lie beside this folder without being installed.
    search = os.pathsep.join([str(path.parents[1]), *filter(None, [os.getenv("PYTHONPATH")])])
    make_folder(log.parent)
    with log.open("a") as file:
        process = subprocess.Popen(
            [sys.executable, str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": search},
        )
        status = process.wait()
    if status != 0:
        last = log.read_text().strip().splitlines()[-1:]
        raise OSError(
            f"{script} {' '.join(arguments)} ended with status {status}: {' '.join(last)} "
            f"(all of it: {log})"
        )


def end_with_parent() -> None:
    """Watches standard input: when it ends, so does this process, whatever it does."""
    threading.Thread(target=_end_with_input, daemon=True).start()


def _end_with_input() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)
