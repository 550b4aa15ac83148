"""The REST interface: what the paths of predict, classify, regress, metadata and status answer."""

import json
import logging
import re
import time
import urllib.parse
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from cmml_tf.serving.server.batches.budget import Budget
from cmml_tf.serving.server.classify_regress import classify, regress
from cmml_tf.serving.server.grpc_services import metadata
from cmml_tf.serving.server.http import rest_json
from cmml_tf.serving.server.loading.model_manager import ModelManager
from cmml_tf.serving.server.monitoring import Metrics
from cmml_tf.serving.server.predict import Answering, predict
from cmml_tf.serving.server.status import (
    HTTP_STATUS,
    Code,
    ServingError,
    invalid_argument,
)

_log = logging.getLogger(__name__)
_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_INFER = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>predict|classify|regress)",
    re.IGNORECASE | re.ASCII,
)
_LOOK = re.compile(
    rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?",
    re.IGNORECASE | re.ASCII,
)
_VERBS = ("GET", "POST")
_METHODS = ("predict", "classify", "regress")
_LARGEST_VERSION = 2**63 - 1
_JSON_BYTES = 2**30
"""What parsed documents may take together."""


class RestApi:
    """What the paths answer, without the sockets.

    Args:
      manager: The models.
      answering: How requests are answered.
      metrics: Counts requests.
      timeout_seconds: Deadline of a request.
      prometheus_path: Where the metrics are; None for nowhere.
    """

    def __init__(
        self,
        manager: ModelManager,
        answering: Answering,
        metrics: Metrics,
        *,
        timeout_seconds: float,
        prometheus_path: str | None = None,
    ):
        self._manager = manager
        self._answering = answering
        self._metrics = metrics
        self._timeout_seconds = timeout_seconds
        self._prometheus_path = prometheus_path
        self._json = Budget(_JSON_BYTES, "JSON documents")

    def answer(self, verb: str, path: str, body: bytes) -> tuple[int, str, bytes]:
        """HTTP status, content type and body."""
        if verb == "GET" and path == self._prometheus_path:
            return 200, "text/plain; version=0.0.4", self._metrics.text().encode()
        if not path.lower().startswith("/v1/"):
            return 404, "application/json", b'{"error": "Not found"}'
        began, code = time.monotonic(), Code.OK
        name = api = ""
        try:
            match = {"GET": _LOOK, "POST": _INFER}[verb].fullmatch(path) if verb in _VERBS else None
            if match is None or (verb == "POST" and match["method"] not in _METHODS):
                raise invalid_argument(f"Malformed request: {verb} {path}")
            name = urllib.parse.unquote(match["name"] or "")
            if verb == "GET":
                document = self._look(match)
            else:
                api = match["method"]
                with self._json.lend(rest_json.memory_of(body)):
                    document = self._infer(match, rest_json.read_body(body), began)
                self._check_time(began)
            answer = json.dumps(document, indent=1).encode()
        except ServingError as error:
            code, answer = error.code, _error(error.message)
        except Exception as error:  # noqa: BLE001
            # Whatever a body makes a library raise: its sender is answered, and told nothing more.
            _log.error("a REST request failed: %s: %.300s", type(error).__name__, error)
            code, answer = Code.INTERNAL, _error("The server failed to answer this request.")
        self._metrics.record(name, api, "REST", code.name, time.monotonic() - began)
        return HTTP_STATUS[code], "application/json", answer

    def _check_time(self, began: float) -> None:
        """A running graph cannot be interrupted here: an answer that comes too late is withheld."""
        if time.monotonic() - began > self._timeout_seconds:
            raise ServingError(
                Code.DEADLINE_EXCEEDED,
                f"Deadline exceeded: the request took longer than {self._timeout_seconds} seconds.",
            )

    def _look(self, match: re.Match[str]) -> Any:
        spec = _spec(match)
        if not spec.name:
            raise invalid_argument("Missing model name in request.")
        if match["metadata"]:
            request = get_model_metadata_pb2.GetModelMetadataRequest(
                model_spec=spec, metadata_field=["signature_def"]
            )
            answer = metadata(self._manager, request)
        else:
            answer = self._manager.status(spec)
        return json_format.MessageToDict(
            answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )

    def _infer(self, match: re.Match[str], document: dict[str, Any], began: float) -> Any:
        spec = _spec(match)
        spec.signature_name = rest_json.signature_name(document)
        deadline = began + self._timeout_seconds
        method = match["method"]
        examples = None if method == "predict" else rest_json.read_examples(document)
        with self._manager.use(spec) as servable:
            if method == "predict":
                if spec.signature_name not in ("", *servable.signature_defs):
                    raise invalid_argument(
                        f'Serving signature name: "{spec.signature_name}" '
                        "not found in signature def"
                    )
                inputs = servable.signature(spec.signature_name).definition.inputs
                request = predict_pb2.PredictRequest(model_spec=spec)
                rows = rest_json.fill_predict_request(document, inputs, request)
                response = predict(servable, request, self._answering, deadline)
                return rest_json.predict_body(response, rows, self._answering.max_bytes)
            if method == "regress":
                request = regression_pb2.RegressionRequest(model_spec=spec, input=examples)
                return rest_json.regress_body(regress(servable, request, self._answering, deadline))
            request = classification_pb2.ClassificationRequest(model_spec=spec, input=examples)
            return rest_json.classify_body(classify(servable, request, self._answering, deadline))


def _error(message: str) -> bytes:
    return json.dumps({"error": message}, indent=1).encode()


def _spec(match: re.Match[str]) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=urllib.parse.unquote(match["name"] or ""))
    if match["version"]:
        digits = match["version"].lstrip("0") or "0"
        # Of any length: Python refuses to convert thousands of them.
        if len(digits) > len(str(_LARGEST_VERSION)) or int(digits) > _LARGEST_VERSION:
            raise invalid_argument(f"Failed to convert version: {digits[:20]} to numeric.")
        spec.version.value = int(digits)
    elif match["label"]:
        spec.version_label = urllib.parse.unquote(match["label"])
    return spec
