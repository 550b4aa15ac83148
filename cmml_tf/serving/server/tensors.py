"""TensorProto to NumPy and back, safe against hostile protos.

A proto of a few bytes may claim billions of elements (one value stands for all of them), so sizes
are checked before anything is allocated.
"""

import math
from collections.abc import Sequence

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2

from cmml_tf.serving.server.status import Code, ServingError, invalid_argument

# dtype -> NumPy dtype, value field of the proto
_NUMERIC: dict[int, tuple[np.dtype, str]] = {
    number: (np.dtype(kind), field)
    for number, kind, field in (
        (types_pb2.DT_FLOAT, np.float32, "float_val"),
        (types_pb2.DT_DOUBLE, np.float64, "double_val"),
        (types_pb2.DT_INT32, np.int32, "int_val"),
        (types_pb2.DT_INT64, np.int64, "int64_val"),
        (types_pb2.DT_UINT32, np.uint32, "uint32_val"),
        (types_pb2.DT_UINT64, np.uint64, "uint64_val"),
        (types_pb2.DT_INT16, np.int16, "int_val"),
        (types_pb2.DT_UINT16, np.uint16, "int_val"),
        (types_pb2.DT_INT8, np.int8, "int_val"),
        (types_pb2.DT_UINT8, np.uint8, "int_val"),
        (types_pb2.DT_BOOL, np.bool_, "bool_val"),
    )
}
_BY_DTYPE = {dtype: (number, field) for number, (dtype, field) in _NUMERIC.items()}
_OBJECT = np.dtype(object)
_POINTER_BYTES = 8
_SIZE_LIMIT = 2**31
_MOST_DIMENSIONS = 32  # of NumPy; TensorFlow's operations take fewer
MAX_CLAIMED_BYTES = 16 * 1024 * 1024
"""Default of the largest tensor whose shape claims more elements than were sent."""


def dtype_name(number: int) -> str:
    """DT_FLOAT and so on; a number TensorFlow does not know stays a number."""
    return types_pb2.DataType.Name(number) if number in types_pb2.DataType.values() else str(number)


def numpy_dtype(number: int) -> np.dtype:
    """NumPy's dtype of a TensorFlow dtype; strings are objects (bytes)."""
    return _OBJECT if number == types_pb2.DT_STRING else _NUMERIC[number][0]


def is_supported(number: int) -> bool:
    """Whether values of this dtype can be read from a request."""
    return number == types_pb2.DT_STRING or number in _NUMERIC


def proto_shape(name: str, proto: tensor_pb2.TensorProto) -> tuple[int, ...]:
    """The shape a proto claims.

    Raises:
      ServingError: INVALID_ARGUMENT when the rank is unknown or above 32, or a size is negative.
    """
    shape = tuple([dim.size for dim in proto.tensor_shape.dim])
    if (
        proto.tensor_shape.unknown_rank
        or len(shape) > _MOST_DIMENSIONS
        or not all(0 <= size < _SIZE_LIMIT for size in shape)
    ):
        raise invalid_argument(f"tensor parsing error: {name} has no valid shape")
    return shape


def to_array(name: str, proto: tensor_pb2.TensorProto, max_bytes: int) -> np.ndarray:
    """Reads a proto of a supported dtype as TensorFlow does: content, or values, the last repeated.

    Raises:
      ServingError: INVALID_ARGUMENT, naming the tensor, for content that does not fit its shape,
        more values than elements, or a shape of more than `max_bytes` that was not sent whole.
    """
    shape = proto_shape(name, proto)
    count = math.prod(shape)
    # Empty tensors count by their other sizes: those reach the graph as well.
    claimed = count or math.prod([max(size, 1) for size in shape])
    if claimed * _POINTER_BYTES > max_bytes and not (count and _holds_all(proto, count)):
        raise invalid_argument(
            f"tensor parsing error: {name} of shape {list(shape)} is larger than {max_bytes} bytes"
        )
    if proto.dtype == types_pb2.DT_STRING:
        return _from_values(name, proto.string_val, _OBJECT, b"", count).reshape(shape)
    dtype, field = _NUMERIC[proto.dtype]
    content = proto.tensor_content
    if not content:
        return _from_values(name, getattr(proto, field), dtype, 0, count).reshape(shape)
    if len(content) != count * dtype.itemsize:
        raise invalid_argument(
            f"tensor parsing error: {name} holds {len(content)} bytes, "
            f"its shape {list(shape)} needs {count * dtype.itemsize}"
        )
    return np.frombuffer(content, dtype).reshape(shape)


def _holds_all(proto: tensor_pb2.TensorProto, count: int) -> bool:
    if proto.dtype == types_pb2.DT_STRING:
        return len(proto.string_val) == count
    dtype, field = _NUMERIC[proto.dtype]
    return (
        len(proto.tensor_content) == count * dtype.itemsize or len(getattr(proto, field)) == count
    )


def _from_values(
    name: str, values: Sequence[object], dtype: np.dtype, default: object, count: int
) -> np.ndarray:
    if len(values) > count:
        raise invalid_argument(
            f"tensor parsing error: {name} holds {len(values)} values, its shape needs {count}"
        )
    array = np.empty(count, dtype=dtype)
    # Those that are too large for a small integer wrap round, as TensorFlow has them.
    array[: len(values)] = values if dtype == _OBJECT else np.array(values).astype(dtype)
    if len(values) < count:
        array[len(values) :] = array[len(values) - 1] if len(values) else default
    return array


def fill_proto(array: np.ndarray, proto: tensor_pb2.TensorProto, as_content: bool) -> None:
    """Writes an array of a supported dtype into an empty proto.

    Raises:
      ServingError: UNIMPLEMENTED for another dtype.
    """
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if array.dtype == object:
        proto.dtype = types_pb2.DT_STRING
        proto.string_val.extend(array.ravel().tolist())
        return
    if array.dtype in _BY_DTYPE:
        proto.dtype, field = _BY_DTYPE[array.dtype]
        if as_content:
            proto.tensor_content = array.tobytes()
        else:
            getattr(proto, field).extend(array.ravel().tolist())
        return
    raise ServingError(Code.UNIMPLEMENTED, f"outputs of dtype {array.dtype} cannot be returned")
