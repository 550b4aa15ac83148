"""The REST interface: predict, classify, regress, metadata, status and metrics over HTTP/1.1."""

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from cmml_tf.serving.server import rest_json
from cmml_tf.serving.server.classify_regress import classify, regress
from cmml_tf.serving.server.grpc_services import metadata
from cmml_tf.serving.server.model_manager import ModelManager
from cmml_tf.serving.server.monitoring import Metrics
from cmml_tf.serving.server.predict import Answering, predict
from cmml_tf.serving.server.status import (
    HTTP_STATUS,
    Code,
    ServingError,
    invalid_argument,
    not_found,
)

_log = logging.getLogger(__name__)
_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_INFER = re.compile(_MODEL + r":(?P<method>predict|classify|regress)", re.IGNORECASE)
_LOOK = re.compile(_MODEL + r"(?P<metadata>/metadata)?", re.IGNORECASE)
_IDLE_SECONDS = 60
_TOO_LARGE = 413
_LENGTH_REQUIRED = 411


class RestApi:
    """What the paths answer, without the sockets."""

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

    def answer(self, verb: str, path: str, body: bytes) -> tuple[int, str, bytes]:
        """HTTP status, content type and body."""
        if verb == "GET" and path == self._prometheus_path:
            return 200, "text/plain; version=0.0.4", self._metrics.text().encode()
        began, code = time.monotonic(), Code.OK
        name, api = "", "GetModelStatus"
        try:
            match = _INFER.fullmatch(path) if verb == "POST" else _LOOK.fullmatch(path)
            if verb not in ("GET", "POST") or match is None:
                raise not_found(f"Malformed request: {verb} {path}")
            name = match["name"]
            if verb == "GET":
                api = "GetModelMetadata" if match["metadata"] else api
                document = self._look(match)
            else:
                api = match["method"].capitalize()
                document = self._infer(match, rest_json.read_body(body), began)
                self._check_time(began)
        except ServingError as error:
            code, document = error.code, {"error": error.message}
        self._metrics.record(name, api, "REST", code.name, time.monotonic() - began)
        return HTTP_STATUS[code], "application/json", json.dumps(document, indent=1).encode()

    def _check_time(self, began: float) -> None:
        """A running graph cannot be interrupted here: an answer that comes too late is withheld."""
        if time.monotonic() - began > self._timeout_seconds:
            raise ServingError(
                Code.DEADLINE_EXCEEDED,
                f"Deadline exceeded: the request took longer than {self._timeout_seconds} seconds.",
            )

    def _look(self, match: re.Match[str]) -> Any:
        spec = _spec(match)
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
        method = match["method"].lower()
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
            examples = rest_json.read_examples(document)
            if method == "regress":
                request = regression_pb2.RegressionRequest(model_spec=spec, input=examples)
                return rest_json.regress_body(regress(servable, request, self._answering, deadline))
            request = classification_pb2.ClassificationRequest(model_spec=spec, input=examples)
            return rest_json.classify_body(classify(servable, request, self._answering, deadline))


def _spec(match: re.Match[str]) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=match["name"])
    if match["version"]:
        version = int(match["version"])
        if version >= 2**63:
            raise invalid_argument(f"Failed to convert version: {version} to numeric.")
        spec.version.value = version
    elif match["label"]:
        spec.version_label = match["label"]
    return spec


class RestServer:
    """An HTTP server in threads of its own.

    Args:
      port: TCP port; 0 chooses a free one.
      api: What answers.
      max_body_bytes: Larger bodies are refused unread.
      num_threads: Requests worked on at a time.
    """

    def __init__(self, port: int, api: RestApi, *, max_body_bytes: int, num_threads: int):
        self._busy = threading.Semaphore(num_threads)
        self._unanswered = 0
        self._changed = threading.Condition()
        handler = _handler(self._counted(api.answer), max_body_bytes)
        self._server = ThreadingHTTPServer(("0.0.0.0", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="rest", daemon=True)

    def _counted(
        self, answer: Callable[[str, str, bytes], tuple[int, str, bytes]]
    ) -> Callable[[str, str, bytes, Callable[[int, str, bytes], None]], None]:
        def run(verb: str, path: str, body: bytes, reply: Callable[..., None]) -> None:
            with self._changed:
                self._unanswered += 1
            try:
                with self._busy:
                    answered = answer(verb, path, body)
                reply(*answered)
            finally:
                with self._changed:
                    self._unanswered -= 1
                    self._changed.notify_all()

        return run

    @property
    def port(self) -> int:
        """The port in use."""
        return self._server.server_address[1]

    def start(self) -> None:
        """Begins to accept connections."""
        self._thread.start()

    def stop(self, grace_seconds: float) -> None:
        """Accepts nothing more and waits for requests under way, at most `grace_seconds`."""
        self._server.shutdown()
        with self._changed:
            self._changed.wait_for(lambda: not self._unanswered, timeout=grace_seconds)
        self._server.server_close()


def _handler(run: Callable[..., None], max_body_bytes: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "cmml_tf"
        sys_version = ""
        timeout = _IDLE_SECONDS
        wbufsize = -1  # one packet for headers and body
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            run("GET", self.path, b"", self._reply)

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isascii() or not length.isdigit():
                self._refuse(_LENGTH_REQUIRED, "A request needs a Content-Length.")
            elif int(length) > max_body_bytes:
                self._refuse(
                    _TOO_LARGE, f"Request of {length} bytes is larger than {max_body_bytes}."
                )
            else:
                run("POST", self.path, self.rfile.read(int(length)), self._reply)

        def _refuse(self, status: int, message: str) -> None:
            # The body is not read, so the connection cannot be used again.
            self.close_connection = True
            self._reply(status, "application/json", json.dumps({"error": message}).encode())

        def _reply(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, message: str, *values: Any) -> None:
            _log.debug(message, *values)

    return Handler
