"""Runs TensorFlow Serving where it is installed, or the development server; takes its flags."""

import logging
import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Runs the command; does not return."""
    from cmml_tf.serving.server.engine import run

    status = run(list(argv))
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # The interpreter's own end waits for every thread: a computation that outlasts the drain would
    # keep the process alive.
    os._exit(status)
