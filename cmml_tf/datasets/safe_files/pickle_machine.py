"""The instructions of a pickle that make plain data; every other one is refused.

A pickle is a program for a machine with a stack and a memo. This machine has the instructions
that build containers, text, numbers and numpy's arrays, in the forms that Python 2 and 3 write
(protocols 0 to 5), and none that would call anything. What it may hold is bounded by the size of
the file.
"""

import pickletools
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from cmml_tf.datasets.safe_files.pickled_text import (
    RefusedPickleError,
    checked_text,
    plain_float,
    plain_integer,
    python_2_text,
)
from cmml_tf.datasets.safe_files.pickled_values import (
    KeyGuard,
    Marker,
    PickledArray,
    PickledType,
    array_of_bytes,
    check_whole,
    checked_integer,
    marker,
    scalar,
)

_HIGHEST_PROTOCOL = 5
# Bytes of memory for a byte of the file. Pairs of numbers, what the layout is made of, take 15.
_MEMORY_OF_A_BYTE = 48
_MEMORY_BESIDE = 1 << 20
_MOST_MEMORY = 768 << 20
# Values met on a walk through the result for a byte of the file; honest files hold less than one.
_VALUES_OF_A_BYTE = 16
_LEAST_MEMO = 1024
_NO_VALUE = object()
# Bytes that Python takes for an empty container of a kind and for each reference in it.
_LIST, _TUPLE, _DICT, _SET, _REFERENCE, _ENTRY = 72, 56, 80, 232, 9, 104


class PickleMachine:
    """Runs the program of one pickle.

    Args:
      content: The whole pickle.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: list[Any] = []
        self._keys = KeyGuard()
        allowed = _MEMORY_BESIDE + _MEMORY_OF_A_BYTE * len(content)
        self._memory = min(allowed, _MOST_MEMORY)

    def run(self) -> Any:
        """The value that the pickle holds.

        Raises:
          RefusedPickleError: It is not plain data, or claims more than its size can hold.
          IndexError, TypeError, ValueError, struct.error: It is damaged.
        """
        content, instructions = self._content, _INSTRUCTIONS
        while True:
            code = content[self._at]
            self._at += 1
            if code == _STOP:
                break
            instruction = instructions.get(code)
            if instruction is None:
                name = _REFUSED.get(code)
                if name is None:
                    raise ValueError(f"the byte {code} is no instruction")
                raise RefusedPickleError(f"it asks for the instruction {name}")
            instruction(self)
        if self._marks or len(self._stack) != 1:
            raise ValueError("it ends with a list that is open")
        self._memo.clear()
        value = self._stack.pop()
        if type(value) in (list, tuple, dict, set, frozenset, np.ndarray):
            check_whole(value, _VALUES_OF_A_BYTE * len(content) + _LEAST_MEMO)
        elif isinstance(value, Marker | PickledType | PickledArray):
            raise RefusedPickleError("it holds a name and no value")
        return value

    # Reading.

    def _take(self, count: int) -> bytes:
        begin, self._at = self._at, self._at + count
        if self._at > len(self._content):
            raise ValueError("it ends early")
        return self._content[begin : self._at]

    def _line(self) -> bytes:
        end = self._content.find(b"\n", self._at)
        if end < 0:
            raise ValueError("it ends early")
        return self._take(end + 1 - self._at)[:-1]

    def _number(self, form: struct.Struct) -> int:
        (value,) = form.unpack(self._take(form.size))
        return value

    def _spend(self, memory: int) -> None:
        self._memory -= memory
        if self._memory < 0:
            raise MemoryError

    # The stack.

    def _push(self, value: Any) -> None:
        self._spend(_REFERENCE)
        self._stack.append(value)

    def _push_empty(self, container: list | dict | set, memory: int) -> None:
        self._spend(memory + _REFERENCE)
        self._stack.append(container)

    def _push_sized(self, value: str | bytes | bytearray) -> None:
        self._spend(_REFERENCE + sys.getsizeof(value))
        self._stack.append(value)

    def _push_tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError("its stack is too small")
        self._spend(_TUPLE + 8 * count)
        members = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(members)

    def _mark(self) -> None:
        self._spend(_LIST)
        self._marks.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        found = self._stack
        self._stack = self._marks.pop()
        return found

    def _push_since_mark(self, container: type, memory: int, reference: int) -> None:
        members = self._since_mark()
        self._spend(memory + reference * len(members))
        if container is dict:
            value: Any = {}
            self._set_items(value, members)
        else:
            if container is frozenset:
                self._keys.check(members)
            value = container(members)
        self._stack.append(value)

    # Instructions that fill a container.

    def _extend(self, members: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise TypeError("it appends to what is no list")
        self._spend(_REFERENCE * len(members))
        target.extend(members)

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._fill([key, value])

    def _fill(self, members: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict:
            raise TypeError("it sets an item of what is no dictionary")
        self._spend(_ENTRY // 2 * len(members))
        self._set_items(target, members)

    def _set_items(self, target: dict, members: list[Any]) -> None:
        if len(members) % 2:
            raise ValueError("it holds a key without a value")
        keys = members[::2]
        self._keys.check(keys)
        target.update(zip(keys, members[1::2], strict=True))

    def _add_items(self) -> None:
        members = self._since_mark()
        target = self._stack[-1]
        if type(target) is not set:
            raise TypeError("it adds to what is no set")
        self._keys.check(members)
        self._spend(_ENTRY * len(members))
        target.update(members)

    # The memo.

    def _put(self, place: int) -> None:
        # Numbers are given out one by one. A larger one would ask for memory that nothing fills.
        if not 0 <= place < max(len(self._content), _LEAST_MEMO):
            raise MemoryError
        value = self._stack[-1]
        if place >= len(self._memo):
            self._spend(8 * (place + 1 - len(self._memo)))
            self._memo.extend([_NO_VALUE] * (place + 1 - len(self._memo)))
        self._memo[place] = value

    def _get(self, place: int) -> None:
        value = self._memo[place] if 0 <= place < len(self._memo) else _NO_VALUE
        if value is _NO_VALUE:
            raise ValueError(f"its memo has no value {place}")
        # An announced array has become one since.
        finished = type(value) is PickledArray and value.value is not None
        self._push(value.value if finished else value)

    # Numbers.

    def _push_integer(self, text: bytes) -> None:
        self._spend(32)
        self._stack.append(checked_integer(plain_integer(text)))

    def _push_line_integer(self) -> None:
        line = self._line()
        if line in (b"00", b"01"):
            self._push(line == b"01")
        else:
            self._push_integer(line)

    def _push_long(self, size: int) -> None:
        content = self._take(size) if size >= 0 else b""
        if not 0 <= size <= 9:
            raise RefusedPickleError("it holds an integer beyond 64 bits with a sign")
        value = int.from_bytes(content, "little", signed=True)
        self._spend(32)
        self._stack.append(checked_integer(value))

    def _push_number(self, form: struct.Struct) -> None:
        self._spend(32)
        self._stack.append(self._number(form))

    # Text.

    def _push_unicode(self, size: int) -> None:
        try:
            self._push_sized(self._take(size).decode())
        except UnicodeDecodeError:
            raise RefusedPickleError("it holds text that is not Unicode") from None

    # Names and what follows them.

    def _push_name(self) -> None:
        module, name = self._line(), self._line()
        self._push(marker(module.decode(errors="replace"), name.decode(errors="replace")))

    def _push_stacked_name(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._push(marker(module, name))

    def _reduce(self) -> None:
        arguments, name = self._stack.pop(), self._stack.pop()
        if not isinstance(name, Marker) or type(arguments) is not tuple:
            raise RefusedPickleError("it calls what is no name")
        self._push(self._announced(name, arguments))

    def _announced(self, name: Marker, arguments: tuple) -> Any:
        """The value that a name and its arguments stand for."""
        match name, arguments:
            case Marker.DTYPE, (code, *_):
                self._spend(200)
                return PickledType(code)
            case Marker.RECONSTRUCT, (Marker.ARRAY, *_):
                self._spend(100)
                return PickledArray()
            case Marker.FROM_BUFFER, (content, kind, shape, order):
                return self._paid(array_of_bytes(kind, shape, order, content))
            case Marker.FROM_BUFFER, (content, kind, shape, "K", (*axes,)):
                return self._paid(array_of_bytes(kind, shape, "C", content)).transpose(axes)
            case Marker.SCALAR, (kind, content):
                self._spend(64)
                return scalar(kind, content)
            case Marker.ENCODE, (str(text), "latin1" | "latin-1"):
                self._spend(64 + len(text))
                return text.encode("latin1")
            case Marker.BYTES, ():
                return b""
            case ((Marker.SET | Marker.FROZENSET), (list(members),)):
                self._keys.check(members)
                self._spend(_SET + _ENTRY * len(members))
                return (set if name is Marker.SET else frozenset)(members)
            case Marker.DICT, ():
                self._spend(_DICT)
                return {}
            case Marker.DICT, (list(members),) if all(len(pair) == 2 for pair in members):
                self._spend(_DICT + _ENTRY * len(members))
                value: dict = {}
                self._set_items(value, [part for pair in members for part in pair])
                return value
        raise RefusedPickleError(f"it asks for `{name.value}` of something else than plain data")

    def _paid(self, array: np.ndarray) -> np.ndarray:
        self._spend(array.nbytes + 200)
        return array

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, PickledType):
            target.complete(state)
        elif isinstance(target, PickledArray):
            self._stack[-1] = self._paid(target.complete(state))
        else:
            raise RefusedPickleError("it sets attributes, which plain data has not")

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._stack = self._marks.pop()

    def _frame(self) -> None:
        size = self._number(_UINT64)
        if size > len(self._content) - self._at:
            raise ValueError("it ends early")

    def _protocol(self) -> None:
        number = self._take(1)[0]
        if number > _HIGHEST_PROTOCOL:
            raise ValueError(f"protocol {number} is not known")


_UINT8, _UINT16, _UINT32, _UINT64 = (struct.Struct(form) for form in ("<B", "<H", "<I", "<Q"))
_INT32, _FLOAT64 = struct.Struct("<i"), struct.Struct(">d")
_STOP = ord(".")
_M = PickleMachine

# By the names that `pickletools` has for them.
_BY_NAME: dict[str, Callable[[PickleMachine], None]] = {
    "PROTO": _M._protocol,
    "FRAME": _M._frame,
    "MARK": _M._mark,
    "POP": _M._pop,
    "POP_MARK": lambda m: m._since_mark() and None,
    "DUP": lambda m: m._push(m._stack[-1]),
    "NONE": lambda m: m._push(None),
    "NEWTRUE": lambda m: m._push(True),
    "NEWFALSE": lambda m: m._push(False),
    "INT": _M._push_line_integer,
    "LONG": lambda m: m._push_integer(m._line()),
    "FLOAT": lambda m: m._push(plain_float(m._line())),
    "BININT": lambda m: m._push_number(_INT32),
    "BININT1": lambda m: m._push_number(_UINT8),
    "BININT2": lambda m: m._push_number(_UINT16),
    "BINFLOAT": lambda m: m._push_number(_FLOAT64),
    "LONG1": lambda m: m._push_long(m._number(_UINT8)),
    "LONG4": lambda m: m._push_long(m._number(_INT32)),
    "STRING": lambda m: m._push_sized(python_2_text(m._line())),
    "BINSTRING": lambda m: m._push_sized(m._take(m._number(_INT32)).decode("latin1")),
    "SHORT_BINSTRING": lambda m: m._push_sized(m._take(m._number(_UINT8)).decode("latin1")),
    "UNICODE": lambda m: m._push_sized(checked_text(m._line().decode("raw-unicode-escape"))),
    "BINUNICODE": lambda m: m._push_unicode(m._number(_UINT32)),
    "SHORT_BINUNICODE": lambda m: m._push_unicode(m._number(_UINT8)),
    "BINUNICODE8": lambda m: m._push_unicode(m._number(_UINT64)),
    "BINBYTES": lambda m: m._push_sized(m._take(m._number(_UINT32))),
    "SHORT_BINBYTES": lambda m: m._push_sized(m._take(m._number(_UINT8))),
    "BINBYTES8": lambda m: m._push_sized(m._take(m._number(_UINT64))),
    "BYTEARRAY8": lambda m: m._push_sized(bytearray(m._take(m._number(_UINT64)))),
    "EMPTY_LIST": lambda m: m._push_empty([], _LIST),
    "EMPTY_TUPLE": lambda m: m._push(()),
    "EMPTY_DICT": lambda m: m._push_empty({}, _DICT),
    "EMPTY_SET": lambda m: m._push_empty(set(), _SET),
    "LIST": lambda m: m._push_since_mark(list, _LIST, _REFERENCE),
    "TUPLE": lambda m: m._push_since_mark(tuple, _TUPLE, _REFERENCE),
    "DICT": lambda m: m._push_since_mark(dict, _DICT, _ENTRY // 2),
    "FROZENSET": lambda m: m._push_since_mark(frozenset, _SET, _ENTRY),
    "TUPLE1": lambda m: m._push_tuple(1),
    "TUPLE2": lambda m: m._push_tuple(2),
    "TUPLE3": lambda m: m._push_tuple(3),
    "APPEND": lambda m: m._extend([m._stack.pop()]),
    "APPENDS": lambda m: m._extend(m._since_mark()),
    "SETITEM": _M._set_item,
    "SETITEMS": lambda m: m._fill(m._since_mark()),
    "ADDITEMS": _M._add_items,
    "PUT": lambda m: m._put(plain_integer(m._line())),
    "BINPUT": lambda m: m._put(m._number(_UINT8)),
    "LONG_BINPUT": lambda m: m._put(m._number(_UINT32)),
    "MEMOIZE": lambda m: m._put(len(m._memo)),
    "GET": lambda m: m._get(plain_integer(m._line())),
    "BINGET": lambda m: m._get(m._number(_UINT8)),
    "LONG_BINGET": lambda m: m._get(m._number(_UINT32)),
    "GLOBAL": _M._push_name,
    "STACK_GLOBAL": _M._push_stacked_name,
    "REDUCE": _M._reduce,
    "BUILD": _M._build,
}
_CODES = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}
_INSTRUCTIONS = {_CODES[name]: instruction for name, instruction in _BY_NAME.items()}
_REFUSED = {code: name for name, code in _CODES.items() if name not in _BY_NAME}
