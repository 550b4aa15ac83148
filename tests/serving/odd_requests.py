"""Requests no caller should send, and what may be answered to them."""

import collections

import grpc
import numpy as np
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

NAMES = [
    *("support_user_id", "support_item_id", "support_label", "support_length"),
    *("query_user_id", "query_item_id", "context", "user_id", "inputs", "stray"),
]
SIGNATURES = {
    "": NAMES[:6],
    "encode_context": NAMES[:4],
    "score_with_context": ["context", *NAMES[4:6]],
    "recommend": [*NAMES[:4], "user_id"],
    "explain": NAMES[:6],
    "serving_tf_example": ["inputs"],
    "unheard_of": [],
}
DTYPES = ["float32", "float64", "int32", "int64", "bool", "uint8"]
# Numbers of TensorFlow's types and of none, but for the one of resources: several of them end
# TensorFlow Serving, whatever the model; see docs/serving.md.
OTHER_DTYPES = [number for number in range(31) if number != types_pb2.DT_RESOURCE]
ANSWERS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNIMPLEMENTED,
    # What gRPC itself answers to bytes that are no request.
    grpc.StatusCode.INTERNAL,
}

STRANGE = [
    *(b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"-9223372036854775809", b"1.0", b"true"),
    *(b"null", b"[" * 2000, b"[]," * 100, b"{", b'"', b"\\ud800", b"\\u0000", b"\xff\xfe"),
    *(b"\r\n", b"\r\n\r\n", b": ", b"\0", b"\xff\xff\xff\xff\x0f", b"\x80" * 10),
]

ids = st.one_of(st.sampled_from(["u1", "i2", "", "x" * 300]), st.text(max_size=8))
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
numbers = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes))
texts = shapes.flatmap(
    lambda shape: hnp.arrays(object, shape, elements=ids.map(str.encode), fill=st.just(b""))
)
labels = st.floats(width=32) | st.sampled_from([0.0, 1.0])


@st.composite
def good_inputs(draw, names, context_width):
    """Inputs that are right, or nearly: lengths beyond S and labels that are not finite."""
    B, S, Q = (draw(st.integers(1, 3)) for _ in range(3))
    sizes = {
        "support": (B, S),
        "query": (B, Q),
        "context": (B, context_width),
        "user": (B,),
        "inputs": (B,),
    }
    inputs = {}
    for name in names:
        shape = sizes[name.split("_")[0]]
        if name == "support_length":
            inputs[name] = draw(hnp.arrays("int32", B, elements=st.integers(-1, S + 1)))
        elif name in ("support_label", "context"):
            inputs[name] = draw(hnp.arrays("float32", shape, elements=labels))
        else:
            count = int(np.prod(shape))
            values = draw(st.lists(ids, min_size=count, max_size=count))
            inputs[name] = np.array([value.encode() for value in values], object).reshape(shape)
    return inputs


@st.composite
def requests(draw, context_width):
    """A serialized PredictRequest, more or less damaged."""
    signature = draw(st.sampled_from(sorted(SIGNATURES)))
    inputs = draw(good_inputs(SIGNATURES[signature], context_width))
    damage = draw(
        st.sampled_from(["none", "replace", "drop", "add", "shape", "rank", "dtype", "cut"])
    )
    if damage == "replace" and inputs:
        inputs[draw(st.sampled_from(sorted(inputs)))] = draw(numbers | texts)
    if damage == "drop" and inputs:
        del inputs[draw(st.sampled_from(sorted(inputs)))]
    if damage == "add":
        inputs[draw(st.sampled_from(NAMES))] = draw(numbers | texts)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = draw(st.sampled_from(["cmml"] * 8 + ["unheard_of", ""]))
    request.model_spec.signature_name = signature
    if draw(st.integers(0, 9)) == 0:
        request.model_spec.version.value = draw(st.integers(-(2**63), 2**63 - 1))
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    if damage in ("shape", "rank", "dtype") and inputs:
        proto = request.inputs[draw(st.sampled_from(sorted(inputs)))]
        if damage == "dtype":
            proto.dtype = draw(st.sampled_from(OTHER_DTYPES))
        elif damage == "rank":
            for _ in range(draw(st.sampled_from([1, 40, 70, 300]))):
                proto.tensor_shape.dim.add(size=1)
        elif proto.tensor_shape.dim:
            # At most 2**16, lest TensorFlow Serving allocate what a shape claims.
            dim = draw(st.sampled_from(list(proto.tensor_shape.dim)))
            dim.size = draw(st.integers(-2, 2**16))
    serialized = request.SerializeToString()
    if damage == "cut" and serialized:
        serialized = serialized[: draw(st.integers(0, len(serialized) - 1))]
    return serialized


def mutated(rng, honest):
    """Bytes of an honest request with a few of them changed, cut, repeated or replaced."""
    changed = bytearray(honest)
    for _ in range(rng.integers(1, 5)):
        kind, at = rng.integers(0, 5), int(rng.integers(0, len(changed) + 1))
        end = min(len(changed), at + int(rng.integers(1, 20)))
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            del changed[at:end]
        elif kind == 2:
            changed[at:at] = changed[at:end] * int(rng.integers(1, 50))
        elif kind == 3:
            changed[at:end] = rng.bytes(end - at)
        else:
            changed[at:at] = STRANGE[rng.integers(0, len(STRANGE))]
    return bytes(changed)


class Sender:
    """Sends bytes to a server; counts what was answered."""

    def __init__(self, server):
        self._call = server.channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            response_deserializer=predict_pb2.PredictResponse.FromString,
        )
        self.counts = collections.Counter()

    def __call__(self, serialized):
        """The answer, or the code of the error."""
        try:
            answer = self._call(serialized, timeout=60)
        except grpc.RpcError as error:
            answer = error.code()
        self.counts[answer.name if isinstance(answer, grpc.StatusCode) else "OK"] += 1
        return answer


def check(send, serialized):
    """Answered with a code that blames the request, or with numbers that are finite where valid."""
    answer = send(serialized)
    if isinstance(answer, grpc.StatusCode):
        assert answer in ANSWERS
        return
    outputs = {name: tf.make_ndarray(proto) for name, proto in answer.outputs.items()}
    valid = outputs.get("valid", np.array(True))
    for name, array in outputs.items():
        # Test models on TensorFlow Serving answer inputs of any rank.
        beside = valid.reshape(valid.shape + (1,) * (array.ndim - valid.ndim))
        assert array.dtype == object or np.all(np.isfinite(array) | ~beside), name


def fuzz(send, examples, context_width):
    """Sends odd requests, the same ones each time."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(context_width))
    def run(serialized):
        check(send, serialized)

    run()
