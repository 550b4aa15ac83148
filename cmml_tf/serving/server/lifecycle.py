"""From flags to a running server, and down again without losing a request."""

import logging
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import tensorflow as tf
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from cmml_tf.serving.server.batches.admission import Admission
from cmml_tf.serving.server.batches.batched_runner import batched_runner
from cmml_tf.serving.server.draining import RefuseWhileStopping
from cmml_tf.serving.server.end_signal import EndSignal
from cmml_tf.serving.server.flags import ServerFlags
from cmml_tf.serving.server.grpc_services import ModelService, PredictionService
from cmml_tf.serving.server.http.http_server import HttpServer
from cmml_tf.serving.server.http.rest import RestApi
from cmml_tf.serving.server.loading.config_files import (
    BatchingParameters,
    read_batching_parameters,
    read_model_config,
    read_prometheus_path,
    read_ssl_config,
    single_model_config,
)
from cmml_tf.serving.server.loading.model_manager import ModelManager
from cmml_tf.serving.server.loading.servable import Servable, Threads
from cmml_tf.serving.server.loading.warmup_replay import replay
from cmml_tf.serving.server.monitoring import Metrics
from cmml_tf.serving.server.predict import Answering, Runner, run_alone
from cmml_tf.serving.server.status import Code, ServingError
from cmml_tf.serving.server.tensors import MAX_CLAIMED_BYTES
from cmml_tf.serving.server.tls import grpc_credentials, http_context

_log = logging.getLogger(__name__)

DRAIN_SECONDS = 25.0
"""How long requests under way may take after SIGTERM; Kubernetes kills after 30."""
_REFUSAL_SECONDS = 0.25
"""How long new requests are refused before gRPC closes its connections to them."""
_SIGNAL_SECONDS = 1.0
_SILENT_CALLS = 256
_SPARE_THREADS = 32
"""For health checks and refusals."""
_SERVICES = ("", "PredictionService", "ModelService")
"""Names of TensorFlow Serving's health service; `""` is the server."""


class DevelopmentServer:
    """All parts of the server, wired."""

    def __init__(self, flags: ServerFlags):
        """Reads the configuration files; opens no port yet.

        Raises:
          ValueError: A configuration file cannot be read or has a wrong value, or the TLS key is
            that of another certificate.
        """
        self._flags = flags
        self._stopping = threading.Event()
        self._health = health.HealthServicer()
        self._metrics = Metrics()
        self._answering = Answering(
            runner=_runner(flags),
            as_content=flags.enable_serialization_as_tensor_content,
            max_bytes=min(flags.max_message_bytes, MAX_CLAIMED_BYTES),
            check_method_name=flags.enable_signature_method_name_check,
        )
        self._manager = ModelManager(
            self._load,
            max_load_retries=flags.max_num_load_retries,
            retry_seconds=flags.load_retry_interval_micros / 1e6,
            labels_may_wait=flags.allow_version_labels_for_unavailable_models,
        )
        self._config = (
            read_model_config(flags.model_config_file)
            if flags.model_config_file
            else single_model_config(flags.model_name, flags.model_base_path)
        )
        self._tls = read_ssl_config(flags.ssl_config_file) if flags.ssl_config_file else None
        self._http_tls = None if self._tls is None else http_context(self._tls)
        self._prometheus_path = (
            read_prometheus_path(flags.monitoring_config_file)
            if flags.monitoring_config_file
            else None
        )
        self._grpc: grpc.Server | None = None
        self._rest: HttpServer | None = None
        # One thread listens.
        self._admission = Admission(flags.grpc_max_threads - 1, _SILENT_CALLS)

    def _load(self, name: str, version: int, path: str) -> Servable:
        tags, threads = self._flags.saved_model_tags.split(","), _threads(self._flags)
        compiles = self._flags.xla_cpu_compilation_enabled
        servable = Servable(name, version, path, tags, threads, compiles)
        if self._flags.enable_model_warmup:
            # Through the batcher, as in TensorFlow Serving: what its sizes refuse fails the load.
            # A batch holds requests of one version, so that nobody shares one with the warm-up.
            iterations = self._flags.num_request_iterations_for_warmup
            count = replay(servable, path, self._answering, iterations)
            if count:
                _log.info("%s: version %d replayed %d warm-up requests", name, version, count)
        return servable

    def start(self, stop: EndSignal) -> None:
        """Loads the models, then opens the ports, then looks for new versions.

        As in TensorFlow Serving the ports open once each model has a version; until there is one
        the server waits for it, at most until `stop` is set.

        Raises:
          ServingError: The model configuration is wrong, or a model cannot be loaded.
          OSError: A port is taken.
        """
        self._manager.configure(self._config)
        self._wait_for_models(stop)
        if stop.is_set():
            return
        self._report_health()
        host = self._flags.host
        self._grpc = self._grpc_server()
        self._grpc.start()
        _log.info("gRPC listens on %s:%d", host, self._flags.port)
        if self._flags.rest_api_port:
            self._rest = self._rest_server()
            self._rest.start()
            scheme = "http" if self._tls is None else "https"
            _log.info("REST listens on %s://%s:%d", scheme, host, self._flags.rest_api_port)
        threading.Thread(target=self._poll_versions, name="versions", daemon=True).start()
        if self._flags.model_config_file and self._flags.model_config_file_poll_wait_seconds > 0:
            threading.Thread(target=self._poll_config, name="config", daemon=True).start()

    def _wait_for_models(self, stop: EndSignal) -> None:
        while not self._manager.ready():
            failures = self._manager.failures()
            if failures:
                raise ServingError(
                    Code.UNKNOWN,
                    f"{len(failures)} servable(s) did not become available: {'; '.join(failures)}",
                )
            if stop.wait(_SIGNAL_SECONDS):
                return
            self._manager.refresh()

    def _grpc_server(self) -> grpc.Server:
        flags = self._flags
        options = {
            "grpc.so_reuseport": 0,
            "grpc.max_receive_message_length": flags.max_message_bytes,
            "grpc.max_send_message_length": -1,
            **dict(flags.channel_arguments),
        }
        threads = flags.grpc_max_threads + _SILENT_CALLS + _SPARE_THREADS
        server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            options=list(options.items()),
            maximum_concurrent_rpcs=threads,
            interceptors=[RefuseWhileStopping(self._stopping), self._admission],
        )
        prediction = PredictionService(self._manager, self._answering, self._metrics)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
        model = ModelService(
            self._manager,
            self._metrics,
            self._report_health,
            reload_from_anywhere=flags.allow_reload,
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(model, server)
        if flags.enable_grpc_healthcheck_service:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        try:
            if flags.port:
                self._add_port(server, f"{flags.host}:{flags.port}")
            if flags.grpc_socket_path:
                self._add_port(server, f"unix:{flags.grpc_socket_path}")
        except RuntimeError as error:
            raise OSError(
                "--host must be an address of this machine and --port free. "
                f"Received: --host={flags.host} --port={flags.port}. {error}"
            ) from error
        return server

    def _add_port(self, server: grpc.Server, address: str) -> None:
        if self._tls is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, grpc_credentials(self._tls))

    def _rest_server(self) -> HttpServer:
        api = RestApi(
            self._manager,
            self._answering,
            self._metrics,
            timeout_seconds=self._flags.rest_api_timeout_in_ms / 1000,
            prometheus_path=self._prometheus_path,
        )
        return HttpServer(
            self._flags.host,
            self._flags.rest_api_port,
            api.answer,
            max_body_bytes=self._flags.max_message_bytes,
            num_threads=self._flags.rest_api_num_threads,
            tls=self._http_tls,
        )

    def _report_health(self) -> None:
        serving = self._manager.ready() and not self._stopping.is_set()
        status = health_pb2.HealthCheckResponse
        for service in _SERVICES:
            self._health.set(service, status.SERVING if serving else status.NOT_SERVING)

    def _poll_versions(self) -> None:
        seconds = self._flags.file_system_poll_wait_seconds
        while seconds > 0 and not self._stopping.wait(seconds):
            self._manager.refresh()
            self._report_health()

    def _poll_config(self) -> None:
        while not self._stopping.wait(self._flags.model_config_file_poll_wait_seconds):
            try:
                self._manager.reload(read_model_config(self._flags.model_config_file))
            except (ServingError, ValueError) as error:
                _log.error("the model config file is not used: %s", error)

    def stop(self) -> None:
        """Refuses new requests, finishes those under way (at most `DRAIN_SECONDS`), closes."""
        self._stopping.set()
        self._health.enter_graceful_shutdown()
        if self._grpc is not None:
            time.sleep(_REFUSAL_SECONDS)
            self._admission.end_silent_calls()
            finished = self._grpc.stop(DRAIN_SECONDS)
        if self._rest is not None:
            self._rest.stop(DRAIN_SECONDS)
        if self._grpc is not None:
            finished.wait()


def _runner(flags: ServerFlags) -> Runner:
    if not flags.enable_batching:
        return run_alone
    if not flags.batching_parameters_file:
        return batched_runner(BatchingParameters())
    return batched_runner(read_batching_parameters(flags.batching_parameters_file))


def _threads(flags: ServerFlags) -> Threads:
    both = flags.tensorflow_session_parallelism
    return Threads(
        intra_op=flags.tensorflow_intra_op_parallelism or both,
        inter_op=flags.tensorflow_inter_op_parallelism or both,
    )


def serve(flags: ServerFlags) -> int:
    """Runs the server until SIGTERM or SIGINT; returns the exit code."""
    stop = EndSignal()
    # Its advice is for those who write models, not for those who serve them.
    tf.get_logger().setLevel(logging.ERROR)
    try:
        server = DevelopmentServer(flags)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        server.start(stop)
    except (ServingError, ValueError, OSError) as error:
        _log.error("Failed to start server. %s", error)
        return 1
    # Not one wait without end: a signal that another thread has caught wakes nobody.
    while not stop.wait(_SIGNAL_SECONDS):
        pass
    _log.info("stopping: requests under way are finished")
    server.stop()
    _log.info("stopped")
    return 0
