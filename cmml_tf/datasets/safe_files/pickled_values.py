"""What a pickle of plain data is made of: numpy's arrays and scalars, keys, and the bounds of both.

A pickle names functions. Those that plain data needs are markers here: they say how the arguments
that follow are meant, and nothing is ever called by its name. An array is built from a type, a
shape and bytes that were compared with each other.
"""

import math
import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

import numpy as np

from cmml_tf.datasets.safe_files.pickled_text import RefusedPickleError
from cmml_tf.plain_arrays import check_values


class Marker(Enum):
    """What a name in the pickle announces."""

    DTYPE = "numpy.dtype"
    ARRAY = "numpy.ndarray"
    RECONSTRUCT = "numpy._reconstruct"
    FROM_BUFFER = "numpy._frombuffer"
    SCALAR = "numpy.scalar"
    ENCODE = "_codecs.encode"
    BYTES = "bytes"
    SET = "set"
    FROZENSET = "frozenset"
    DICT = "OrderedDict"


# numpy 1 and 2, Python 2 and 3.
_NAMES: dict[tuple[str, str], Marker] = {
    ("numpy", "dtype"): Marker.DTYPE,
    ("numpy", "ndarray"): Marker.ARRAY,
    ("_codecs", "encode"): Marker.ENCODE,
    ("collections", "OrderedDict"): Marker.DICT,
    **{(f"numpy.{core}.numeric", "_frombuffer"): Marker.FROM_BUFFER for core in ("core", "_core")},
    **{
        (f"numpy.{core}.multiarray", marker.value.removeprefix("numpy.")): marker
        for core in ("core", "_core")
        for marker in (Marker.RECONSTRUCT, Marker.SCALAR)
    },
    **{
        (module, marker.value): marker
        for module in ("builtins", "__builtin__")
        for marker in (Marker.BYTES, Marker.SET, Marker.FROZENSET)
    },
}
_DTYPE_CODE = re.compile(r"(?:b1|[iu][1248]|f[248]|c8|c16|[SU]\d{1,6}|\?|O8?)")
_INT64 = np.iinfo(np.int64)
_LONGEST_KEY = 4096
_MOST_MEMBERS_OF_A_KEY = 16
# Numbers and tuples with one hash can be made at will, and a dictionary of them takes the square
# of their number in time; random ones do not meet.
_MOST_KEYS_OF_A_HASH = 64
_MOST_LEVELS = 64
# Rows of an array without any value, as (3, 0): nothing in the file pays for them.
_MOST_EMPTY_ROWS = 1024
_SCALARS = frozenset({int, float, complex, bool, str, bytes, bytearray, type(None)})


def marker(module: Any, name: Any) -> Marker:
    """What a name announces.

    Raises:
      RefusedPickleError: It is no part of plain data.
    """
    found = (
        _NAMES.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    )
    if found is None:
        raise RefusedPickleError(f"it asks for `{_shown(module)}.{_shown(name)}`")
    return found


class PickledType:
    """A numpy type: a code, and later its byte order.

    Flags and sizes that a file claims are not read: they could make numpy read foreign memory.

    Args:
      code: As numpy writes it, `i8` or `U7`.

    Raises:
      RefusedPickleError: It is no type of numbers, text, bytes or objects.
    """

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or _DTYPE_CODE.fullmatch(code) is None:
            raise RefusedPickleError(f"it holds an array of the refused type {_shown(code)!r}")
        self.dtype = np.dtype("O" if code.startswith("O") else code)

    def complete(self, state: Any) -> None:
        """Takes the byte order of a pickled state; fields and sub-arrays are refused."""
        if not isinstance(state, tuple) or len(state) < 5 or state[2:5] != (None, None, None):
            raise RefusedPickleError("it holds an array of a refused type, with fields")
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """An array that is announced; `value` is the array once its state has been read."""

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def complete(self, state: Any) -> np.ndarray:
        """Builds the array of version, shape, type, order and content.

        Raises:
          RefusedPickleError: They do not fit each other.
        """
        if not isinstance(state, tuple) or len(state) != 5 or self.value is not None:
            raise RefusedPickleError("it holds a damaged array")
        _, shape, kind, fortran_order, content = state
        if isinstance(kind, PickledType) and kind.dtype == object:
            self.value = _object_array(shape, bool(fortran_order), content)
        else:
            self.value = array_of_bytes(kind, shape, "F" if fortran_order else "C", content)
        return self.value


def array_of_bytes(kind: Any, shape: Any, order: Any, content: Any) -> np.ndarray:
    """An array of numbers, text or bytes, a copy of the content.

    Args:
      kind: A `PickledType`.
      shape: Its sizes.
      order: `C` or `F`.
      content: bytes, or the latin-1 text that Python 2 wrote for them.

    Raises:
      RefusedPickleError: Content and shape do not fit, or the content is no value of the type.
    """
    if not isinstance(kind, PickledType) or kind.dtype == object:
        raise RefusedPickleError("it holds an array whose content is not of its type")
    dtype, content = kind.dtype, _as_bytes(content)
    count = _count(shape)
    if len(content) != count * dtype.itemsize or order not in ("C", "F"):
        raise RefusedPickleError(
            f"it holds {len(content)} bytes for an array of shape {_shown(shape)} and type "
            f"{dtype.str}"
        )
    if dtype.itemsize == 0 and count > _MOST_EMPTY_ROWS:
        raise RefusedPickleError(f"it holds {count} values of no bytes")
    array = np.frombuffer(bytearray(content), dtype) if content else np.zeros(count, dtype)
    try:
        check_values(array)
    except ValueError as error:
        raise RefusedPickleError(str(error)) from None
    return array.reshape(shape, order=order)


def scalar(kind: Any, content: Any) -> Any:
    """One value of a numpy type, as Python's own number or text."""
    (value,) = array_of_bytes(kind, (1,), "C", content).tolist()
    return checked_integer(value)


def checked_integer(value: Any) -> Any:
    """The value, unless it is an integer beyond int64."""
    if isinstance(value, int) and not _INT64.min <= value <= _INT64.max:
        raise RefusedPickleError("it holds an integer beyond 64 bits with a sign")
    return value


def _as_bytes(content: Any) -> bytes:
    if isinstance(content, str):
        return content.encode("latin1")
    if not isinstance(content, bytes | bytearray):
        raise RefusedPickleError("it holds an array whose content is not of its type")
    return content


def _object_array(shape: Any, fortran_order: bool, content: Any) -> np.ndarray:
    if not isinstance(content, list):
        raise RefusedPickleError("it holds an array whose content is not of its type")
    if len(content) != _count(shape):
        raise RefusedPickleError(
            f"it holds {len(content)} objects for an array of shape {_shown(shape)}"
        )
    array = np.fromiter(content, object, len(content))
    return array.reshape(shape, order="F" if fortran_order else "C")


def _count(shape: Any) -> int:
    """Values of an array of this shape."""
    whole = isinstance(shape, tuple) and len(shape) <= 8
    if not whole or not all(type(size) is int and size >= 0 for size in shape):
        raise RefusedPickleError(f"it holds an array of the shape {_shown(shape)}")
    if 0 in shape and math.prod(size for size in shape if size) > _MOST_EMPTY_ROWS:
        raise RefusedPickleError(f"it holds an array without values of the shape {shape}")
    return math.prod(shape)


class KeyGuard:
    """Admits what may be a key of a dictionary or a member of a set: what hashes in short time."""

    def __init__(self) -> None:
        self._hashes: Counter[int] = Counter()

    def check(self, keys: Iterable[Any]) -> None:
        """Looks at keys before they are hashed.

        Raises:
          RefusedPickleError: One is a container, too large, or too many have one hash.
        """
        for key in keys:
            kind = type(key)
            if kind is int or kind is bool or key is None:
                continue
            if kind is str or kind is bytes:
                if len(key) > _LONGEST_KEY:
                    raise RefusedPickleError(
                        f"it holds a key of {len(key)} characters, more than {_LONGEST_KEY}"
                    )
                continue
            if kind is tuple:
                if len(key) > _MOST_MEMBERS_OF_A_KEY:
                    raise RefusedPickleError(f"it holds a tuple of {len(key)} members as a key")
                if any(type(member) is tuple for member in key):
                    raise RefusedPickleError("it holds tuples of tuples as a key")
                self.check(key)
            elif kind is not float:
                raise RefusedPickleError(f"it holds a key of type {kind.__name__}")
            self._hashes[hash(key)] += 1
            if self._hashes[hash(key)] > _MOST_KEYS_OF_A_HASH:
                raise RefusedPickleError("it holds keys that were made to collide")


def check_whole(value: Any, most_values: int) -> None:
    """Refuses what is not plain data through and through, and what unfolds without bound.

    A few bytes can name one list a thousand times in another, and that one again: whoever walks
    through it never ends.

    Args:
      value: What was read.
      most_values: Values met on a walk through everything.

    Raises:
      RefusedPickleError: Something is unfinished, contains itself, is nested more than 64 levels,
        or unfolds to more values.
    """
    # Values times 256, and levels, of containers that hold containers, as one number to save
    # memory; the others are looked at wherever they are met.
    sizes: dict[int, int] = {}
    opened: set[int] = set()
    stack = [[value]]
    while stack:
        node = stack[-1]
        if id(node) in sizes:
            stack.pop()
            continue
        inner, values = _contents(node)
        levels, waiting = 1, []
        for child in inner:
            size = sizes.get(id(child))
            if size is None:
                grandchildren, count = _contents(child)
                if grandchildren:
                    waiting.append(child)
                    continue
                size = count << 8 | 1
            values += size >> 8
            levels = max(levels, 1 + (size & 255))
            if values > most_values:
                raise RefusedPickleError("it names the same values again and again without bound")
        if not waiting:
            if levels > _MOST_LEVELS + 1:
                raise RefusedPickleError(f"it is nested more than {_MOST_LEVELS} levels")
            sizes[id(node)] = values << 8 | levels
            opened.discard(id(node))
            stack.pop()
            continue
        opened.add(id(node))
        if any(id(child) in opened for child in waiting):
            raise RefusedPickleError("it holds a container that contains itself")
        stack.extend(waiting)


def _contents(node: Any) -> tuple[Sequence[Any], int]:
    """The containers in a container, and how many values it and what else it holds are."""
    kind = type(node)
    if kind is dict:
        # A dictionary's keys were checked before they went in: they are flat.
        members, keys = node.values(), len(node)
    elif kind is np.ndarray:
        if node.dtype != object:
            return (), 1 + node.size
        members, keys = node.ravel().tolist(), 0
    elif kind in (list, tuple):
        members, keys = node, 0
    elif kind in (set, frozenset):
        return (), 1 + len(node)
    else:
        raise RefusedPickleError(f"it holds an unfinished value ({kind.__name__})")
    inner = [member for member in members if type(member) not in _SCALARS]
    return inner, 1 + keys + len(members) - len(inner)


def _shown(value: Any) -> str:
    """Text for a sentence, short whatever the size or depth of what a file holds."""
    return value[:80] if isinstance(value, str) else reprlib.repr(value)[:80]
