"""The gRPC services: PredictionService and ModelService of TensorFlow Serving."""

import logging
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from cmml_tf.serving.server.classify_regress import classify, multi_inference, regress
from cmml_tf.serving.server.loading.model_manager import ModelManager
from cmml_tf.serving.server.loading.servable import Servable
from cmml_tf.serving.server.monitoring import Metrics
from cmml_tf.serving.server.predict import Answering, predict
from cmml_tf.serving.server.status import Code, ServingError, invalid_argument

_log = logging.getLogger(__name__)
_SIGNATURES = "signature_def"


def metadata(
    manager: ModelManager, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of a version.

    Raises:
      ServingError: INVALID_ARGUMENT for another field than `signature_def`, or as the model lookup.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != _SIGNATURES:
            raise invalid_argument(f"Metadata field {field} is not supported")
    with manager.use(request.model_spec) as servable:
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in servable.signature_defs.items():
            signatures.signature_def[name].CopyFrom(signature)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.metadata[_SIGNATURES].Pack(signatures)
    return response


def _deadline(context: grpc.ServicerContext) -> float | None:
    remaining = context.time_remaining()
    return None if remaining is None else time.monotonic() + remaining


_COUNTED = ("Predict", "Classify", "Regress")
"""Calls that TensorFlow Serving counts in its metrics."""
_LONGEST = 1024
"""Characters of a refusal that TensorFlow Serving sends."""
_LOCAL_PEERS = ("ipv4:127.", "ipv6:[::1]:", "ipv6:[::ffff:127.", "unix:")


def is_this_machine(peer: str) -> bool:
    """Whether a caller, in gRPC's words, is on the machine of the server."""
    return urllib.parse.unquote(peer).startswith(_LOCAL_PEERS)


class _Answers:
    """Calls a function, counts the request, and turns what it raises into a gRPC status."""

    def __init__(self, metrics: Metrics):
        self._metrics = metrics

    def __call__(
        self, context: grpc.ServicerContext, api: str, name: str, answer: Callable[[], Any]
    ) -> Any:
        began, code, error = time.monotonic(), Code.OK, None
        try:
            return answer()
        except ServingError as raised:
            code, error = raised.code, raised
        except Exception as raised:  # noqa: BLE001
            # Whatever a request makes a library raise: its sender is told nothing of the server.
            _log.error("a gRPC request failed: %s: %.300s", type(raised).__name__, raised)
            code = Code.INTERNAL
            error = ServingError(code, "The server failed to answer this request.")
        finally:
            if api in _COUNTED:
                self._metrics.record(name, api, "GRPC", code.name, time.monotonic() - began)
        message = error.message
        if len(message) > _LONGEST:
            message = message[:_LONGEST] + "...TRUNCATED"
        context.abort(error.code, message)
        return None


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    def __init__(self, manager: ModelManager, answering: Answering, metrics: Metrics):
        self._manager = manager
        self._answering = answering
        self._answers = _Answers(metrics)

    def _infer(
        self,
        run: Callable[[Servable, Any, Answering, float | None], Any],
        api: str,
        spec: Any,
        request: Any,
        context: grpc.ServicerContext,
    ) -> Any:
        deadline = _deadline(context)

        def answer() -> Any:
            with self._manager.use(spec) as servable:
                return run(servable, request, self._answering, deadline)

        return self._answers(context, api, spec.name, answer)

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See `predict`."""
        return self._infer(predict, "Predict", request.model_spec, request, context)

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See `classify`."""
        return self._infer(classify, "Classify", request.model_spec, request, context)

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See `regress`."""
        return self._infer(regress, "Regress", request.model_spec, request, context)

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See `multi_inference`; the first task decides which version answers."""
        if not request.tasks:
            context.abort(Code.INVALID_ARGUMENT, "Inference request has no tasks.")
        spec = request.tasks[0].model_spec
        return self._infer(multi_inference, "MultiInference", spec, request, context)

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """See `metadata`."""
        return self._answers(
            context,
            "GetModelMetadata",
            request.model_spec.name,
            lambda: metadata(self._manager, request),
        )


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest.

    Args:
      manager: The models.
      metrics: Counts requests.
      after_reload: Called once the configuration was changed, or refused.
      reload_from_anywhere: Take HandleReloadConfigRequest from other machines too.
    """

    def __init__(
        self,
        manager: ModelManager,
        metrics: Metrics,
        after_reload: Callable[[], None],
        *,
        reload_from_anywhere: bool = False,
    ):
        self._manager = manager
        self._answers = _Answers(metrics)
        self._after_reload = after_reload
        self._reload_from_anywhere = reload_from_anywhere

    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> Any:
        """See `ModelManager.status`."""

        def answer() -> Any:
            if not request.HasField("model_spec"):
                raise invalid_argument("Missing ModelSpec")
            return self._manager.status(request.model_spec)

        return self._answers(context, "GetModelStatus", request.model_spec.name, answer)

    def HandleReloadConfigRequest(  # noqa: N802
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> Any:
        """See `ModelManager.reload`; refused with PERMISSION_DENIED from another machine."""

        def answer() -> Any:
            peer = context.peer()
            if not (self._reload_from_anywhere or is_this_machine(peer)):
                raise ServingError(
                    Code.PERMISSION_DENIED,
                    "HandleReloadConfigRequest is taken from this machine only, unless the server "
                    f"is started with --allow_reload. Received: a call from {peer}.",
                )
            try:
                self._manager.reload(request.config)
            finally:
                self._after_reload()
            response = model_management_pb2.ReloadConfigResponse()
            response.status.error_code = 0
            return response

        return self._answers(context, "HandleReloadConfigRequest", "", answer)
