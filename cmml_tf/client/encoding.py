"""Arrays to tensors of the wire and back, by `tensor_content` wherever the dtype allows it."""

import math
from typing import Any

import numpy as np

from cmml_tf.client import wire

STRING = wire.DT_STRING
_NUMPY: dict[int, np.dtype] = {
    wire.DT_FLOAT: np.dtype(np.float32),
    wire.DT_INT32: np.dtype(np.int32),
    wire.DT_INT64: np.dtype(np.int64),
    wire.DT_BOOL: np.dtype(np.bool_),
}
_VALUES = {
    wire.DT_FLOAT: "float_val",
    wire.DT_INT32: "int_val",
    wire.DT_INT64: "int64_val",
    wire.DT_BOOL: "bool_val",
}


def numeric_dtype(number: int) -> np.dtype:
    """NumPy's dtype of a numeric TensorFlow dtype of the contract."""
    return _NUMPY[number]


def dtype_name(number: int) -> str:
    """`string`, `float32` and so on."""
    return "string" if number == STRING else str(_NUMPY.get(number, number))


def fill_numeric(proto: Any, array: np.ndarray, number: int) -> None:
    """Writes an array of the dtype's own type into an empty proto."""
    proto.dtype = number
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    proto.tensor_content = array.tobytes()


def fill_strings(proto: Any, values: list[bytes], shape: tuple[int, ...]) -> None:
    """Writes strings, row by row, into an empty proto: they have no `tensor_content`."""
    proto.dtype = STRING
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    proto.string_val.extend(values)


def read(proto: Any) -> np.ndarray:
    """An answer's tensor; strings as an object array of bytes.

    Servers write single values for tensors of one repeated value; those are spread again.
    """
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.dtype == STRING:
        strings = np.empty(len(proto.string_val), object)
        strings[:] = proto.string_val
        return strings.reshape(shape)
    dtype = _NUMPY[proto.dtype]
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    field = getattr(proto, _VALUES[proto.dtype])
    values = np.fromiter(field, dtype, len(field))
    count = math.prod(shape)
    if len(values) == count:
        return values.reshape(shape)
    spread = np.full(count, values[-1] if len(values) else 0, dtype)
    spread[: len(values)] = values
    return spread.reshape(shape)
