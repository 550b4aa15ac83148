"""JSON bodies of the REST interface to protos and back.

Row form is a list of instances (`{"instances": [{"x": 1}, ...]}`), column form one array an input
(`{"inputs": {"x": [1, ...]}}`). Bytes are `{"b64": "..."}`.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    input_pb2,
    predict_pb2,
    regression_pb2,
)

from cmml_tf.serving.server.status import invalid_argument
from cmml_tf.serving.server.tensors import (
    dtype_name,
    fill_proto,
    is_supported,
    numpy_dtype,
    to_array,
)

Json = Any


_VALUE_BYTES = 64
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


_LARGE_NUMBER = re.compile(rb"[eE]\+?\d{3}|\d{300}")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"Number too big to be stored in double: {digits[:20]}")
    return value


def memory_of(body: bytes) -> int:
    """Bytes that a parsed document takes, at most: an empty list, three bytes here, takes 64."""
    values = sum(body.count(sign) for sign in (b",", b"[", b"{", b":"))
    return _VALUE_BYTES * values + 4 * len(body)


def read_body(body: bytes) -> dict[str, Json]:
    """A JSON object.

    Raises:
      ServingError: INVALID_ARGUMENT for anything else, and for text that is not Unicode.
    """
    # Python reads numbers beyond its floats as infinite; to look at each costs half of the parsing.
    parse_float = _finite if _LARGE_NUMBER.search(body) else None
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_float=parse_float)
        if _LONE_SURROGATE.search(body):
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid_argument("Request body must be a JSON object.")
    return document


def signature_name(document: Mapping[str, Json]) -> str:
    """The key `signature_name`, empty when left out.

    Raises:
      ServingError: INVALID_ARGUMENT unless it is a string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument("'signature_name' key must be a string value.")
    return name


def fill_predict_request(
    document: Mapping[str, Json],
    inputs: Mapping[str, meta_graph_pb2.TensorInfo],
    request: predict_pb2.PredictRequest,
) -> bool:
    """Adds the inputs of a body to `request`; True for row form.

    Raises:
      ServingError: INVALID_ARGUMENT, naming the input.
    """
    if ("instances" in document) == ("inputs" in document):
        raise invalid_argument(
            "Request must have exactly one of the keys 'instances' (row form) and 'inputs' "
            "(column form)."
        )
    rows = "instances" in document
    columns = _rows_to_columns(document, inputs) if rows else _columns(document["inputs"], inputs)
    for name in inputs:
        if name not in columns:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        value = _to_array(name, columns[name], inputs[name].dtype)
        fill_proto(value, request.inputs[name], True)
    return rows


def _is_bytes(value: Json) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _columns(value: Json, inputs: Mapping[str, Any]) -> dict[str, Json]:
    if isinstance(value, dict) and not _is_bytes(value):
        return value
    if len(inputs) != 1:
        raise invalid_argument(
            f"inputs is a plain value/list, but expecting {len(inputs)} named input tensors."
        )
    return {next(iter(inputs)): value}


def _rows_to_columns(
    document: Mapping[str, Json], inputs: Mapping[str, Any]
) -> dict[str, list[Json]]:
    instances = document["instances"]
    if not isinstance(instances, list) or not instances:
        raise invalid_argument("'instances' must be a list with at least one element.")
    rows = [_columns(instance, inputs) for instance in instances]
    for position, row in enumerate(rows):
        if set(row) != set(inputs):
            wrong = ", ".join(sorted(set(row) ^ set(inputs)))
            raise invalid_argument(
                f"Failed to process element: {position} of 'instances' list. "
                f"Missing or unknown inputs: {wrong}"
            )
    return {name: [row[name] for row in rows] for name in inputs}


def _to_array(name: str, value: Json, dtype: int) -> np.ndarray:
    if not is_supported(dtype):
        raise invalid_argument(f"Input {name}: {dtype_name(dtype)} cannot be sent as JSON.")
    try:
        if dtype == types_pb2.DT_STRING:
            value = _encode_strings(name, value)
        elif dtype != types_pb2.DT_BOOL and _holds_boolean(value):
            raise invalid_argument(f"Input {name}: JSON values are not of expected type: number")
        # Strings become object arrays; asking for objects elsewhere would hide ragged lists.
        array = np.array(value, dtype=_object_array_dtype(dtype))
    except (ValueError, OverflowError, RecursionError) as error:
        raise invalid_argument(
            f"Input {name}: lists must be of equal size at each level. {error}"
        ) from error
    wanted = numpy_dtype(dtype)
    if dtype == types_pb2.DT_STRING:
        if any(not isinstance(one, bytes) for one in array.flat):
            raise invalid_argument(f"Input {name}: lists must be of equal size at each level.")
        return array
    accepted = {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}[wanted.kind]
    if array.size and array.dtype.kind not in accepted:
        raise invalid_argument(f"Input {name}: JSON values are not of expected type: {wanted}")
    with np.errstate(over="ignore"):  # infinite then, as TensorFlow Serving reads it
        converted = array.astype(wanted)
    if wanted.kind in "iu" and not np.array_equal(converted, array):
        raise invalid_argument(f"Input {name}: JSON values are out of range of {wanted}")
    return converted


def _holds_boolean(value: Json) -> bool:
    """Whether a boolean is among values that NumPy would take for numbers."""
    if isinstance(value, list):
        return (
            any(map(_holds_boolean, value))
            if list in map(type, value)
            else bool in map(type, value)
        )
    return isinstance(value, bool)


def _object_array_dtype(dtype: int) -> Any:
    return object if dtype == types_pb2.DT_STRING else None


def _encode_strings(name: str, value: Json) -> Json:
    if isinstance(value, list):
        return [_encode_strings(name, one) for one in value]
    if isinstance(value, str):
        return value.encode()
    if _is_bytes(value) and isinstance(value["b64"], str):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error as error:
            raise invalid_argument(f"Input {name}: not valid base64: {value['b64']!r}") from error
    raise invalid_argument(f"Input {name}: JSON value is not of expected type: string")


def predict_body(response: predict_pb2.PredictResponse, rows: bool, max_bytes: int) -> Json:
    """The answer in the form of the request; one output stands without its name.

    Raises:
      ServingError: INVALID_ARGUMENT when row form asks for outputs of unequal batch size.
    """
    outputs = {
        name: to_array(name, proto, max_bytes) for name, proto in sorted(response.outputs.items())
    }
    columns = {name: _to_json(name, array) for name, array in outputs.items()}
    if not rows:
        return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}
    if any(array.ndim == 0 for array in outputs.values()):
        raise invalid_argument("Row form needs outputs with a batch dimension; use 'inputs'.")
    sizes = {name: len(array) for name, array in outputs.items()}
    if len(set(sizes.values())) > 1:
        raise invalid_argument(f"Tensors have inconsistent batch sizes: {sizes}; use 'inputs'.")
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    names = list(columns)
    return {
        "predictions": [
            dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
    }


def _to_json(name: str, array: np.ndarray) -> Json:
    if array.dtype == np.float32:
        return _shortened(array)
    if array.dtype != object:
        return array.tolist()
    if name.endswith("_bytes"):
        texts: list[Json] = [{"b64": base64.b64encode(one).decode()} for one in array.flat]
    else:
        texts = [one.decode(errors="replace") for one in array.flat]
    flat = np.empty(array.size, dtype=object)
    flat[:] = texts
    return flat.reshape(array.shape).tolist()


def _shortened(array: np.ndarray) -> Json:
    """float32 as TensorFlow Serving writes them: six digits, or nine where six are not enough."""
    values = array.ravel().tolist()
    short = [float(f"{value:.6g}") for value in values]
    same = np.array(short, np.float32) == array.ravel()
    digits = [
        few if enough else float(f"{value:.9g}")
        for value, few, enough in zip(values, short, same.tolist(), strict=True)
    ]
    return np.array(digits, np.float64).reshape(array.shape).tolist()


def read_examples(document: Mapping[str, Json]) -> input_pb2.Input:
    """`examples`, and `context` where given, of a classify or regress body.

    Raises:
      ServingError: INVALID_ARGUMENT, naming the feature.
    """
    examples = document.get("examples")
    if not isinstance(examples, list) or not examples:
        raise invalid_argument("'examples' must be a list with at least one element.")
    request_input = input_pb2.Input()
    if "context" in document:
        listed = request_input.example_list_with_context
        _fill_example(document["context"], listed.context)
    else:
        listed = request_input.example_list
    for example in examples:
        _fill_example(example, listed.examples.add())
    return request_input


def _fill_example(features: Json, example: example_pb2.Example) -> None:
    if not isinstance(features, dict):
        raise invalid_argument("An example must be a JSON object of features.")
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        try:
            example.features.feature[name].CopyFrom(_feature(name, values))
        except (TypeError, ValueError, OverflowError) as error:
            raise invalid_argument(f"Feature {name}: {error}") from error


def _feature(name: str, values: list[Json]) -> feature_pb2.Feature:
    """Values of one kind: text or bytes, integers or booleans, or numbers with a decimal point."""
    if not values:
        return feature_pb2.Feature()
    if all(isinstance(one, str) or _is_bytes(one) for one in values):
        encoded = _encode_strings(name, values)
        return feature_pb2.Feature(bytes_list=feature_pb2.BytesList(value=encoded))
    if all(isinstance(one, int) for one in values):
        return feature_pb2.Feature(int64_list=feature_pb2.Int64List(value=map(int, values)))
    if all(isinstance(one, float) for one in values):
        return feature_pb2.Feature(float_list=feature_pb2.FloatList(value=values))
    raise invalid_argument(
        f"Unexpected element type in feature: {name}; all values must be of one kind (1 and 1.0 "
        "are of two)."
    )


def regress_body(response: regression_pb2.RegressionResponse) -> Json:
    """One number an example."""
    values = [one.value for one in response.result.regressions]
    return {"results": _shortened(np.array(values, np.float32))}


def classify_body(response: classification_pb2.ClassificationResponse) -> Json:
    """Pairs of label and score, a list for each example."""
    return {
        "results": [
            [[one.label, float(_shortened(np.array(one.score, np.float32)))] for one in row.classes]
            for row in response.result.classifications
        ]
    }
