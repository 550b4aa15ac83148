"""Pickles of strangers: plain containers, strings, numbers and numpy arrays, nothing that runs.

A pickle is a program. The unpickler below knows the few constructors that the admitted values
need, each wrapped so that it checks its arguments, and refuses every other name.
"""

import collections
import io
import pickle
import pickletools
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np

_DTYPE_CODE = re.compile(r"[biufcSU]\d+|O8?|\?")
_NUMPY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_MALFORMED = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    struct.error,
)


class _GuardedDtype:
    """Stands for a `numpy.dtype` while unpickling: takes over its code and byte order only.

    The pickled state of a dtype may claim flags and sizes that make numpy read foreign memory.
    """

    def __init__(self, code: str, *_: Any) -> None:
        if not isinstance(code, str) or _DTYPE_CODE.fullmatch(code) is None:
            raise pickle.UnpicklingError(f"it holds an array of the refused type {code!r}")
        self.dtype = np.dtype("O" if code.startswith("O") else code)

    def __setstate__(self, state: tuple) -> None:
        order = state[1]
        if order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)


class _GuardedArray(np.ndarray):
    """An array that is filled from checked state."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran_order, content = state
        if isinstance(content, str):  # written by Python 2
            content = content.encode("latin1")
        if not isinstance(dtype, _GuardedDtype):
            raise pickle.UnpicklingError("it holds an array without a type")
        if (dtype.dtype == object) != isinstance(content, list):
            raise pickle.UnpicklingError("it holds an array whose content is not of its type")
        super().__setstate__((1, shape, dtype.dtype, bool(fortran_order), content))


def _reconstruct(*_: Any) -> np.ndarray:
    # The pickled arguments (a class, a shape, a type) are placeholders; the state that follows
    # decides.
    return _GuardedArray((0,), np.int8)


def _from_buffer(content: bytes, dtype: _GuardedDtype, shape: tuple, order: str) -> np.ndarray:
    return np.frombuffer(content, dtype.dtype).reshape(shape, order=order)


def _scalar(dtype: _GuardedDtype, content: bytes | str) -> Any:
    if isinstance(content, str):
        content = content.encode("latin1")
    (value,) = np.frombuffer(content, dtype.dtype)
    return value


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    # What protocols 0 to 2 write for b"". The type itself would allocate on demand: bytes(10**12).
    return b""


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _GuardedDtype,
    ("numpy", "ndarray"): _GuardedArray,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    **{(module, "_reconstruct"): _reconstruct for module in _NUMPY_MODULES},
    **{(module, "scalar"): _scalar for module in _NUMPY_MODULES},
    **{(module, "bytes"): _empty_bytes for module in ("builtins", "__builtin__")},
    **{(module, "set"): set for module in ("builtins", "__builtin__")},
    **{(module, "frozenset"): frozenset for module in ("builtins", "__builtin__")},
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for `{module}.{name}`") from None


def load_plain_pickle(path: str | Path) -> Any:
    """Reads a pickle that holds plain containers, strings, numbers and numpy arrays only.

    Args:
      path: The file.

    Returns:
      The value. Arrays may be of a subclass of `numpy.ndarray`.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: The file is not a whole pickle, asks for anything else (the message names the
        refused global), or for more memory than there is.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"The file {path} is missing. Give the folder of the complete data set."
        ) from None
    try:
        _check_memo(content)
        return _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
    except MemoryError:
        raise ValueError(
            f"The pickle {path} asks for more memory than there is; it is damaged or hostile. "
            "Get the file again from a source you trust."
        ) from None
    except _MALFORMED as error:
        raise ValueError(
            f"The pickle {path} was not read, because {_reason(error)}. Only plain containers, "
            "strings, numbers and numpy arrays are admitted; get the complete file again, or "
            "write it anew with those."
        ) from error


def _reason(error: Exception) -> str:
    text = str(error).rstrip(".")
    if text.startswith("it "):
        return text
    return f"it is truncated or damaged ({text or type(error).__name__})"


def _check_memo(content: bytes) -> None:
    """Refuses memo numbers that no honest pickle of this size reaches.

    The unpickler allocates its memo up to the largest number named, so a file of a few bytes could
    take all memory. Most files are cleared by looking at the bytes; where text looks like such an
    instruction, the instructions are read one by one.
    """
    limit = max(len(content), 1024)
    data = np.frombuffer(content, np.uint8)
    at = np.flatnonzero(data[:-4] == ord("r")) + 1  # LONG_BINPUT and four bytes of number
    number = sum(data[at + byte].astype(np.uint64) << np.uint64(8 * byte) for byte in range(4))
    digits = len(str(limit))
    if not (number > limit).any() and not re.search(rb"p\d{%d,}\n" % digits, content):
        return
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in ("PUT", "LONG_BINPUT") and argument > limit:
            raise MemoryError
