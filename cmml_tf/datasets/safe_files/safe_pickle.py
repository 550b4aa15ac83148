"""Pickles of strangers: plain containers, strings, numbers and numpy arrays, nothing that runs."""

import struct
from pathlib import Path
from typing import Any

from cmml_tf.datasets.safe_files.pickle_machine import PickleMachine
from cmml_tf.datasets.safe_files.pickled_text import RefusedPickleError

# Files of this layout are a few megabytes; a larger log comes as a table.
_MOST_BYTES = 128 << 20
_MALFORMED = (ValueError, TypeError, IndexError, OverflowError, struct.error)


def load_plain_pickle(path: str | Path) -> Any:
    """Reads a pickle that holds plain containers, strings, numbers and numpy arrays only.

    Nothing that the file names is called: its instructions are interpreted here, and arrays are
    built from bytes that fit their type and shape. Time and memory are bounded by a multiple of the
    file's size.

    Args:
      path: The file, written with any protocol from 0 to 5.

    Returns:
      The value: None, bool, int within int64, float, complex, str, bytes, bytearray, list, tuple,
      dict (of an OrderedDict too), set, frozenset and `numpy.ndarray` of them, numbers, text or
      bytes. numpy's scalars are Python's. Text that Python 2 wrote is read as latin-1.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: The file is not a whole pickle, asks for anything else (the message names it), or
        is made to take more time or memory than its size allows: nested more than 64 levels, values
        that are named again and again, keys that are long or collide, sizes that are not there.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"The file {path} is missing. Give the folder of the complete data set."
        )
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(
            f"The pickle {path} must be of at most {_MOST_BYTES >> 20} MiB. Received: "
            f"{path.stat().st_size >> 20} MiB. Write the data as a table (.csv or .parquet)."
        )
    try:
        return PickleMachine(path.read_bytes()).run()
    except MemoryError:
        raise ValueError(
            f"The pickle {path} asks for more memory than a file of its size may (48 times its "
            "size, at most 768 MiB). If it is neither damaged nor hostile, write the data as a "
            "table (.csv or .parquet)."
        ) from None
    except _MALFORMED as error:
        reason = str(error).rstrip(".") or type(error).__name__
        if not isinstance(error, RefusedPickleError):
            reason = f"it is truncated or damaged ({reason})"
        raise ValueError(
            f"The pickle {path} was not read, because {reason}. Only plain containers, "
            "strings, numbers and numpy arrays are admitted; get the complete file again, or "
            "write it anew with those."
        ) from error
