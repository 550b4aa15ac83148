import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from cmml_tf.serving.server.status import ServingError
from cmml_tf.serving.server.tensors import fill_proto, to_array

LIMIT = 1 << 20
DTYPES = ["float32", "float64", "int32", "int64", "uint32", "uint64", "int16", "uint16"]
DTYPES += ["int8", "uint8", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("as_content", [True, False])
def test_numbers_survive_both_ways(dtype, as_content):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    proto = tensor_pb2.TensorProto()
    fill_proto(array, proto, as_content)
    np.testing.assert_array_equal(tf.make_ndarray(proto), array)
    back = to_array("x", proto, LIMIT)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_strings_survive_with_any_bytes():
    array = np.array([[b"", b"\x00\xff"], [b"a" * 1000, "ä".encode()]], object)
    proto = tensor_pb2.TensorProto()
    fill_proto(array, proto, True)
    assert to_array("x", proto, LIMIT).tolist() == array.tolist()


def test_what_is_not_written_repeats_the_last_value_or_is_zero():
    proto = tf.make_tensor_proto(np.zeros((2, 2), np.float32))
    proto.ClearField("tensor_content")
    proto.ClearField("float_val")
    assert to_array("x", proto, LIMIT).tolist() == [[0, 0], [0, 0]]
    proto.float_val.extend([1, 2])
    assert to_array("x", proto, LIMIT).tolist() == [[1, 2], [2, 2]]


@pytest.mark.parametrize("value", [300, -1, 2**31 - 1])
def test_a_value_beyond_a_small_integer_wraps_round(value):
    proto = tf.make_tensor_proto(np.zeros(2, np.uint8))
    proto.ClearField("tensor_content")
    proto.int_val[:] = [value]
    assert to_array("x", proto, LIMIT).tolist() == [value % 256] * 2


def claims(*sizes, **values):
    proto = tensor_pb2.TensorProto(dtype=tf.float32.as_datatype_enum, **values)
    for size in sizes:
        proto.tensor_shape.dim.add().size = size
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        claims(2, tensor_content=b"1234567"),
        claims(1, float_val=[1, 2]),
        claims(-1),
        claims(2**40),
        claims(*[1] * 33, float_val=[1]),
        claims(*[1] * 300, float_val=[1]),
        claims(2**20, 2**20, float_val=[1]),
        claims(0, 2**31 - 1),
        claims(0, 2**30, 2**30),
        tensor_pb2.TensorProto(dtype=1, tensor_shape={"unknown_rank": True}),
    ],
)
def test_protos_that_lie_are_refused_by_name(proto):
    with pytest.raises(ServingError, match="x") as caught:
        to_array("x", proto, LIMIT)
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT


def test_an_output_without_a_wire_form_is_unimplemented():
    with pytest.raises(ServingError) as caught:
        fill_proto(np.zeros(1, np.complex64), tensor_pb2.TensorProto(), False)
    assert caught.value.code == grpc.StatusCode.UNIMPLEMENTED
