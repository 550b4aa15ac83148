"""How a program of ours ends: what went wrong for a stated reason is one sentence."""

import os
import sys
from collections.abc import Callable, Sequence

# Read when TensorFlow is loaded, which happens behind this import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def run(command: Callable[[Sequence[str]], int]) -> None:
    """Runs a command with this process's arguments and ends the process with its status.

    What went wrong for a stated reason is one sentence on standard error, and status 2.
    """
    try:
        status = command(sys.argv[1:])
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        status = 2
    sys.exit(status)
