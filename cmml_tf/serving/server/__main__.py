"""Command line: reads the flags, then becomes TensorFlow Serving or the development server."""

import logging
import os
import sys

from cmml_tf.serving.server.engine import run

if __name__ == "__main__":
    status = run(sys.argv[1:])
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # The interpreter's own end waits for every thread: a computation that outlasts the drain would
    # keep the process alive.
    os._exit(status)
