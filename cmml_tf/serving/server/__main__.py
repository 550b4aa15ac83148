"""Command line: reads the flags, then becomes TensorFlow Serving or the development server."""

import sys

from cmml_tf.serving.server.engine import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
