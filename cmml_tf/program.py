"""How a program of ours ends: what went wrong for a stated reason is one sentence."""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

# Read when TensorFlow is loaded, which happens behind this import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_BROKEN_PIPE = 128 + signal.SIGPIPE
# New objects behind which a program looks for garbage. TensorFlow makes a million that stay, so
# that with Python's own 700 a second passes while it is loaded.
_NEW_OBJECTS = 50_000


class Arguments(argparse.ArgumentParser):
    """Arguments of a command, spelled out; those that do not fit are a `ValueError`."""

    def __init__(self, description: str | None = None, **options: Any) -> None:
        """Arguments to be added.

        Args:
          description: Of the command, printed as it is written.
          options: Of `argparse.ArgumentParser`.
        """
        kind = argparse.RawDescriptionHelpFormatter
        given = {"formatter_class": kind, "allow_abbrev": False, **options}
        super().__init__(description=description, **given)

    def error(self, message: str) -> NoReturn:
        """Says what does not fit, without the usage.

        Raises:
          ValueError: Always.
        """
        raise ValueError(f"{message[:1].upper()}{message[1:]}. See {self.prog} --help.")


class UnmetRequirementError(Exception):
    """A model that is complete is not what it was required to be, and is not exported."""


def run(command: Callable[[Sequence[str]], int]) -> None:
    """Runs a command with this process's arguments and ends the process with its status.

    What went wrong for a stated reason is one sentence on standard error, and status 2; a model
    that is not what was required gives status 3. Where nobody reads the output any more, as behind
    `| head`, the command ends in silence with 141, the status of a program that a broken pipe ends.
    """
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
    try:
        try:
            status = _status(command)
        finally:
            print(end="", flush=True)
    except OSError as error:
        status = _unprinted(error)
    sys.exit(status)


def one_thread_an_operation() -> None:
    """Has NumPy, and TensorFlow, which is not loaded yet, compute each operation on one thread.

    Those of a training and of its evaluation are small: shared between threads they cost more than
    they gain. And what is a sum over threads depends on how many there are: so the same command
    gives the same figures on machines of any number of cores. `TF_NUM_INTRAOP_THREADS` in the
    environment is kept, and so are `OPENBLAS_NUM_THREADS` and `OMP_NUM_THREADS`.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    if not {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"} & os.environ.keys():
        os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of SciPy, which is loaded later
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, "blas")  # of NumPy, with which options were read


def _status(command: Callable[[Sequence[str]], int]) -> int:
    try:
        return command(sys.argv[1:])
    except UnmetRequirementError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    except BrokenPipeError:
        raise
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _unprinted(error: OSError) -> int:
    """The status of a command whose output nobody reads, or nothing holds."""
    is_unread = isinstance(error, BrokenPipeError)
    if not is_unread:
        print(f"error: The output could not be written: {error.strerror}.", file=sys.stderr)
    # What is left of it would fail again when the interpreter ends.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())
    return _BROKEN_PIPE if is_unread else 2
