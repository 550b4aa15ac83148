"""Classify, Regress and MultiInference: signatures that read serialized tf.Examples."""

import contextlib
from collections.abc import Iterator

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    regression_pb2,
)

from cmml_tf.serving.server.loading.servable import DEFAULT_SIGNATURE, Servable
from cmml_tf.serving.server.predict import Answering, spec_of
from cmml_tf.serving.server.status import (
    Code,
    ServingError,
    failed_precondition,
    invalid_argument,
)

REGRESS_METHOD = "tensorflow/serving/regress"
CLASSIFY_METHOD = "tensorflow/serving/classify"
_INPUT = "inputs"
_REGRESS_OUTPUT = "outputs"
_CLASSES = "classes"
_SCORES = "scores"


def read_examples(request_input: input_pb2.Input) -> np.ndarray:
    """Serialized examples, bytes [B]; a context is merged into each of its examples.

    Raises:
      ServingError: INVALID_ARGUMENT for an empty input.
    """
    kind = request_input.WhichOneof("kind")
    if kind == "example_list":
        serialized = [one.SerializeToString() for one in request_input.example_list.examples]
    elif kind == "example_list_with_context":
        listed = request_input.example_list_with_context
        # Protos merge by concatenation: a feature of the example wins over the context's.
        context = listed.context.SerializeToString()
        serialized = [context + one.SerializeToString() for one in listed.examples]
    else:
        serialized = []
    if not serialized:
        raise invalid_argument("Input is empty.")
    return np.array(serialized, dtype=object)


def regress(
    servable: Servable,
    request: regression_pb2.RegressionRequest,
    answering: Answering,
    deadline: float | None = None,
) -> regression_pb2.RegressionResponse:
    """One value an example.

    Raises:
      ServingError: INVALID_ARGUMENT for no such signature, an empty input, or a signature that does
        not read examples and return one float each.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = _signature(servable, name)
    with _all_invalid():
        _check_regress(signature, answering)
    examples = read_examples(request.input)
    outputs = answering.runner(servable, name, {_INPUT: examples}, deadline)
    return regression_pb2.RegressionResponse(
        model_spec=spec_of(servable, name), result=_regression_result(outputs, len(examples))
    )


def classify(
    servable: Servable,
    request: classification_pb2.ClassificationRequest,
    answering: Answering,
    deadline: float | None = None,
) -> classification_pb2.ClassificationResponse:
    """Labels, scores, or both, for each example.

    Raises:
      ServingError: As `regress`, for signatures with outputs `classes` and `scores`.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = _signature(servable, name)
    with _all_invalid():
        _check_classify(signature, answering)
    examples = read_examples(request.input)
    outputs = answering.runner(servable, name, {_INPUT: examples}, deadline)
    return classification_pb2.ClassificationResponse(
        model_spec=spec_of(servable, name), result=_classification_result(outputs, len(examples))
    )


def multi_inference(
    servable: Servable,
    request: inference_pb2.MultiInferenceRequest,
    answering: Answering,
    deadline: float | None = None,
) -> inference_pb2.MultiInferenceResponse:
    """Several signatures of one model on the same examples.

    As in TensorFlow Serving the signatures must read the same tensor of the graph, which exports of
    TensorFlow 2 never do; there one task a request is what works.

    Raises:
      ServingError: INVALID_ARGUMENT for several models, repeated or unknown signatures, different
        input tensors; FAILED_PRECONDITION for inputs or outputs of other names; UNIMPLEMENTED for
        another method than regress and classify.
    """
    names = [task.model_spec.signature_name or DEFAULT_SIGNATURE for task in request.tasks]
    tensors = set()
    for position, (task, name) in enumerate(zip(request.tasks, names, strict=True)):
        if task.model_spec.name != servable.name:
            raise invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        if name in names[:position]:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        signature = _signature(servable, name)
        if task.method_name == REGRESS_METHOD:
            _check_regress(signature, answering)
        elif task.method_name == CLASSIFY_METHOD:
            _check_classify(signature, answering)
        else:
            raise ServingError(
                Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}"
            )
        tensors.add(signature.inputs[_INPUT].name)
    if len(tensors) > 1:
        raise invalid_argument("Input tensor must be the same for all Signatures.")
    examples = read_examples(request.input)
    response = inference_pb2.MultiInferenceResponse()
    for task, name in zip(request.tasks, names, strict=True):
        outputs = answering.runner(servable, name, {_INPUT: examples}, deadline)
        result = response.results.add(model_spec=spec_of(servable, name))
        if task.method_name == REGRESS_METHOD:
            result.regression_result.CopyFrom(_regression_result(outputs, len(examples)))
        else:
            result.classification_result.CopyFrom(_classification_result(outputs, len(examples)))
    return response


@contextlib.contextmanager
def _all_invalid() -> Iterator[None]:
    """Classify and Regress blame the request where MultiInference blames the signature."""
    try:
        yield
    except ServingError as error:
        raise invalid_argument(error.message) from error


def _signature(servable: Servable, name: str) -> meta_graph_pb2.SignatureDef:
    if name not in servable.signature_defs:
        raise invalid_argument(f"No signature was found with the name: {name}")
    return servable.signature(name).definition


def _check_method(
    signature: meta_graph_pb2.SignatureDef, method: str, answering: Answering
) -> None:
    if answering.check_method_name and signature.method_name != method:
        raise invalid_argument(
            f"Expected {method.rpartition('/')[2]} signature method_name to be {method}. "
            f"Was: {signature.method_name}"
        )
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")


def _check_input_name(signature: meta_graph_pb2.SignatureDef) -> None:
    if _INPUT not in signature.inputs or signature.inputs[_INPUT].dtype != types_pb2.DT_STRING:
        raise failed_precondition(
            f"No string input named {_INPUT} found in SignatureDef: {signature}"
        )


def _check_regress(signature: meta_graph_pb2.SignatureDef, answering: Answering) -> None:
    _check_method(signature, REGRESS_METHOD, answering)
    if len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    _check_input_name(signature)
    if _REGRESS_OUTPUT not in signature.outputs:
        raise failed_precondition(f"No regression outputs found in SignatureDef: {signature}")


def _check_classify(signature: meta_graph_pb2.SignatureDef, answering: Answering) -> None:
    _check_method(signature, CLASSIFY_METHOD, answering)
    if len(signature.outputs) not in (1, 2):
        raise invalid_argument(
            f"Expected one or two output Tensors, found {len(signature.outputs)}"
        )
    _check_input_name(signature)
    if _CLASSES not in signature.outputs and _SCORES not in signature.outputs:
        raise failed_precondition(
            "Expected classification signature outputs to contain at least one of "
            f'"{_CLASSES}" or "{_SCORES}". Signature was: {signature}'
        )


def _regression_result(
    outputs: dict[str, np.ndarray], examples: int
) -> regression_pb2.RegressionResult:
    values = outputs[_REGRESS_OUTPUT]
    if not (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)):
        raise invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got {list(values.shape)}"
        )
    if len(values) != examples:
        raise invalid_argument(
            f"Input batch size did not match output batch size: {examples} vs. {len(values)}"
        )
    if values.dtype != np.float32:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT. Got: {values.dtype}")
    result = regression_pb2.RegressionResult()
    for value in values.ravel().tolist():
        result.regressions.add(value=value)
    return result


def _classification_result(
    outputs: dict[str, np.ndarray], examples: int
) -> classification_pb2.ClassificationResult:
    present = {name: outputs[name] for name in (_CLASSES, _SCORES) if name in outputs}
    for name, values in present.items():
        if values.dtype != (object if name == _CLASSES else np.float32):
            raise invalid_argument(f"Expected {name} Tensor of another dtype. Got: {values.dtype}")
        if values.ndim != 2:
            raise invalid_argument(
                "Expected Tensor shape: [batch_size num_classes] but got "
                f"{list(values.shape)} for {name}"
            )
        if len(values) != examples:
            raise invalid_argument(
                f"Expected {name} output batch size of {examples}. Got: {len(values)}"
            )
    if len({values.shape for values in present.values()}) > 1:
        raise invalid_argument("Tensors class and score should match in dim_size(1).")
    result = classification_pb2.ClassificationResult()
    for row in range(examples):
        classes = result.classifications.add()
        for column in range(next(iter(present.values())).shape[1]):
            one = classes.classes.add()
            if _CLASSES in present:
                one.label = present[_CLASSES][row, column].decode(errors="replace")
            if _SCORES in present:
                one.score = present[_SCORES][row, column]
    return result
