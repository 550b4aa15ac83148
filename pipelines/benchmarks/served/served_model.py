"""A model server of its own process for the time of a command."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cmml_tf.client import Client

_START_SECONDS = 600.0


class ServedModel(NamedTuple):
    """Where a model answers."""

    address: str
    model_name: str
    pid: int


@contextlib.contextmanager
def served_model(
    *flags: str, model_name: str = "cmml", engine: str = "auto"
) -> Iterator[ServedModel]:
    """Starts a server on a free port, waits until a model answers, ends it at the end.

    Args:
      flags: Of the server, `--model_base_path` or `--model_config_file` among them.
      model_name: Name of a model that it serves.
      engine: `auto` prefers tensorflow_model_server where it is installed; or `python`.

    Raises:
      OSError: The server ended or no version answered; says what it logged last.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [
        *(sys.executable, "-m", "cmml_tf.serving.server", f"--engine={engine}"),
        *(f"--port={port}", "--max_num_load_retries=0", *flags),
    ]
    # The package may lie beside this folder without being installed.
    root = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *_python_path()])}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            address = f"127.0.0.1:{port}"
            try:
                with Client(address, model_name) as client:
                    _wait_until_ready(client, process)
            except TimeoutError as error:
                log.seek(0)
                last = log.read().decode(errors="replace").strip().splitlines()[-3:]
                status = process.poll()
                what = "does not answer" if status is None else f"ended with status {status}"
                raise OSError(f"The model server {what}: {' '.join(last)}") from error
            yield ServedModel(address, model_name, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(client: Client, process: subprocess.Popen) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            return client.wait_until_ready(1.0)
        except TimeoutError:
            if process.poll() is not None or time.monotonic() > end:
                raise


def _python_path() -> list[str]:
    return [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
