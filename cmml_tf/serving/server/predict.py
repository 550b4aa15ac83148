"""Predict: a request checked against the signature, run, and answered."""

import dataclasses
import time
from collections.abc import Callable, Mapping

import numpy as np
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import model_pb2, predict_pb2

from cmml_tf.serving.server.loading.servable import DEFAULT_SIGNATURE, Servable, Signature
from cmml_tf.serving.server.status import Code, ServingError, invalid_argument
from cmml_tf.serving.server.tensors import (
    MAX_CLAIMED_BYTES,
    dtype_name,
    fill_proto,
    is_supported,
    to_array,
)

Arrays = dict[str, np.ndarray]
Runner = Callable[[Servable, str, Arrays, float | None], Arrays]
"""(servable, signature name, inputs, deadline on the monotonic clock) -> outputs."""


def run_alone(
    servable: Servable, signature_name: str, inputs: Arrays, deadline: float | None
) -> Arrays:
    """The runner without batching.

    Raises:
      ServingError: DEADLINE_EXCEEDED when it is too late to begin, or as the graph fails.
    """
    if deadline is not None and time.monotonic() >= deadline:
        raise ServingError(Code.DEADLINE_EXCEEDED, "Deadline exceeded before the model was run.")
    return servable.run(signature_name, inputs)


@dataclasses.dataclass(frozen=True)
class Answering:
    """How requests are answered, the same for all interfaces."""

    runner: Runner = run_alone
    as_content: bool = False
    """Answer with tensor_content."""
    max_bytes: int = MAX_CLAIMED_BYTES
    """Largest tensor whose shape claims more elements than were sent, in memory."""
    check_method_name: bool = False
    """Regress and Classify demand the method name of TF 1 signatures."""


def predict(
    servable: Servable,
    request: predict_pb2.PredictRequest,
    answering: Answering,
    deadline: float | None = None,
) -> predict_pb2.PredictResponse:
    """Answers one request; only the outputs of `output_filter` where it is given.

    Raises:
      ServingError: FAILED_PRECONDITION for an unknown signature; INVALID_ARGUMENT for a missing,
        extra, wrongly typed, wrongly shaped or unreadable input, which it names, and for an unknown
        or repeated output.
    """
    signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signature(signature_name)
    wanted = _wanted_outputs(signature, list(request.output_filter))
    inputs = read_inputs(signature, request.inputs, answering.max_bytes)
    outputs = answering.runner(servable, signature_name, inputs, deadline)
    response = predict_pb2.PredictResponse(model_spec=spec_of(servable, signature_name))
    for name in wanted:
        fill_proto(outputs[name], response.outputs[name], answering.as_content)
    return response


def spec_of(servable: Servable, signature_name: str) -> model_pb2.ModelSpec:
    """What an answer says about who answered."""
    spec = model_pb2.ModelSpec(name=servable.name, signature_name=signature_name)
    spec.version.value = servable.version
    return spec


def read_inputs(
    signature: Signature, protos: Mapping[str, tensor_pb2.TensorProto], max_bytes: int
) -> Arrays:
    """The inputs of a signature as arrays.

    Raises:
      ServingError: INVALID_ARGUMENT, naming the input.
    """
    if len(protos) != len(signature.inputs) or any(name not in protos for name in signature.inputs):
        raise _wrong_names(set(protos), set(signature.inputs))
    arrays = {}
    for name, spec in signature.inputs.items():
        proto = protos[name]
        if proto.dtype != spec.dtype or not is_supported(proto.dtype):
            raise invalid_argument(
                f"Input {name} expects {dtype_name(spec.dtype)} "
                f"but {dtype_name(proto.dtype)} is provided."
            )
        array = to_array(name, proto, max_bytes)
        if not spec.accepts(array.shape):
            raise invalid_argument(
                f"Input {name} expects shape {list(spec.sizes or ())} "
                f"but {list(array.shape)} is provided."
            )
        arrays[name] = array
    return arrays


def _wrong_names(sent: set[str], known: set[str]) -> ServingError:
    extra, missing = sorted(sent - known), sorted(known - sent)
    return invalid_argument(
        f"input size does not match signature: {len(sent)}!={len(known)} "
        f"len({{{','.join(sorted(sent))}}}) != len({{{','.join(sorted(known))}}}). "
        f"Sent extra: {{{','.join(extra)}}}. Missing but required: {{{','.join(missing)}}}."
    )


def _wanted_outputs(signature: Signature, names: list[str]) -> list[str]:
    known = signature.outputs
    for name in names:
        if name not in known:
            raise invalid_argument(
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {{{','.join(known)}}}."
            )
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise invalid_argument(f"duplicate output tensor alias: {repeated}")
    return names or known
