"""From flags to a running server, and down again without losing a request."""

import logging
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import tensorflow as tf
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from cmml_tf.serving.server.batching import Batcher
from cmml_tf.serving.server.config_files import (
    BatchingParameters,
    read_batching_parameters,
    read_model_config,
    read_prometheus_path,
    read_ssl_config,
    single_model_config,
)
from cmml_tf.serving.server.flags import ServerFlags
from cmml_tf.serving.server.grpc_services import ModelService, PredictionService
from cmml_tf.serving.server.model_manager import ModelManager
from cmml_tf.serving.server.monitoring import Metrics
from cmml_tf.serving.server.predict import Answering, Arrays, Runner, run_alone
from cmml_tf.serving.server.rest import RestApi, RestServer
from cmml_tf.serving.server.servable import Servable, Threads
from cmml_tf.serving.server.status import ServingError
from cmml_tf.serving.server.warmup_replay import replay

_log = logging.getLogger(__name__)

DRAIN_SECONDS = 25.0
"""How long requests under way may take after SIGTERM; Kubernetes kills after 30."""
_SIGNAL_SECONDS = 1.0
_QUEUED_RPCS = 256
_SERVICES = ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")


class DevelopmentServer:
    """All parts of the server, wired."""

    def __init__(self, flags: ServerFlags):
        """Reads the configuration files; opens no port yet.

        Raises:
          ValueError: A configuration file cannot be read or has a wrong value.
        """
        self._flags = flags
        self._stopping = threading.Event()
        self._health = health.HealthServicer()
        self._metrics = Metrics()
        self._answering = Answering(
            runner=_batching_runner(flags) if flags.enable_batching else run_alone,
            as_content=flags.enable_serialization_as_tensor_content,
            max_bytes=flags.max_message_bytes,
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
        self._prometheus_path = (
            read_prometheus_path(flags.monitoring_config_file)
            if flags.monitoring_config_file
            else None
        )
        self._grpc: grpc.Server | None = None
        self._rest: RestServer | None = None

    def _load(self, name: str, version: int, path: str) -> Servable:
        tags = self._flags.saved_model_tags.split(",")
        servable = Servable(name, version, path, tags, _threads(self._flags))
        if self._flags.enable_model_warmup:
            # Never through the batcher: nobody else may share a batch with a version not served.
            answering = Answering(max_bytes=self._answering.max_bytes)
            iterations = self._flags.num_request_iterations_for_warmup
            count = replay(servable, path, answering, iterations)
            if count:
                _log.info("%s: version %d replayed %d warm-up requests", name, version, count)
        return servable

    def start(self) -> None:
        """Loads the models, then opens the ports, then looks for new versions.

        Raises:
          ServingError: The model configuration is wrong.
          OSError: A port is taken.
        """
        self._manager.configure(self._config)
        self._report_health()
        if self._flags.port or self._flags.grpc_socket_path:
            self._grpc = self._grpc_server()
            self._grpc.start()
            _log.info("gRPC listens on port %d", self._flags.port)
        if self._flags.rest_api_port:
            self._rest = self._rest_server()
            self._rest.start()
            _log.info("REST listens on port %d", self._flags.rest_api_port)
        threading.Thread(target=self._poll_versions, name="versions", daemon=True).start()
        if self._flags.model_config_file and self._flags.model_config_file_poll_wait_seconds > 0:
            threading.Thread(target=self._poll_config, name="config", daemon=True).start()

    def _grpc_server(self) -> grpc.Server:
        flags = self._flags
        options = {
            "grpc.so_reuseport": 0,
            "grpc.max_receive_message_length": flags.max_message_bytes,
            "grpc.max_send_message_length": -1,
            **dict(flags.channel_arguments),
        }
        server = grpc.server(
            ThreadPoolExecutor(flags.grpc_max_threads, thread_name_prefix="grpc"),
            options=list(options.items()),
            # Beyond these the answer is RESOURCE_EXHAUSTED, and memory stays bounded.
            maximum_concurrent_rpcs=flags.grpc_max_threads + _QUEUED_RPCS,
        )
        prediction = PredictionService(self._manager, self._answering, self._metrics)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
        model = ModelService(self._manager, self._metrics, self._report_health)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(model, server)
        if flags.enable_grpc_healthcheck_service:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        try:
            if flags.port:
                self._add_port(server, f"0.0.0.0:{flags.port}")
            if flags.grpc_socket_path:
                server.add_insecure_port(f"unix:{flags.grpc_socket_path}")
        except RuntimeError as error:
            raise OSError(f"--port must be free. Received: --port={flags.port}. {error}") from error
        return server

    def _add_port(self, server: grpc.Server, address: str) -> None:
        if self._tls is None:
            server.add_insecure_port(address)
            return
        credentials = grpc.ssl_server_credentials(
            [(self._tls.server_key.encode(), self._tls.server_cert.encode())],
            root_certificates=self._tls.custom_ca.encode() or None,
            require_client_auth=self._tls.client_verify,
        )
        server.add_secure_port(address, credentials)

    def _rest_server(self) -> RestServer:
        api = RestApi(
            self._manager,
            self._answering,
            self._metrics,
            timeout_seconds=self._flags.rest_api_timeout_in_ms / 1000,
            prometheus_path=self._prometheus_path,
        )
        return RestServer(
            self._flags.rest_api_port,
            api,
            max_body_bytes=self._flags.max_message_bytes,
            num_threads=self._flags.rest_api_num_threads,
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
                self._manager.configure(read_model_config(self._flags.model_config_file))
            except (ServingError, ValueError) as error:
                _log.error("the model config file is not used: %s", error)

    def stop(self) -> None:
        """Refuses new requests, finishes those under way (at most `DRAIN_SECONDS`), closes."""
        self._stopping.set()
        self._health.enter_graceful_shutdown()
        if self._grpc is not None:
            finished = self._grpc.stop(DRAIN_SECONDS)
        if self._rest is not None:
            self._rest.stop(DRAIN_SECONDS)
        if self._grpc is not None:
            finished.wait()


def _batching_runner(flags: ServerFlags) -> Runner:
    parameters = (
        read_batching_parameters(flags.batching_parameters_file)
        if flags.batching_parameters_file
        else BatchingParameters()
    )
    batcher = Batcher(parameters)

    def run(
        servable: Servable, signature_name: str, inputs: Arrays, deadline: float | None
    ) -> Arrays:
        return batcher.run(
            (id(servable), signature_name),
            lambda merged: servable.run(signature_name, merged),
            inputs,
            deadline,
        )

    return run


def _threads(flags: ServerFlags) -> Threads:
    both = flags.tensorflow_session_parallelism
    return Threads(
        intra_op=flags.tensorflow_intra_op_parallelism or both,
        inter_op=flags.tensorflow_inter_op_parallelism or both,
    )


def serve(flags: ServerFlags) -> int:
    """Runs the server until SIGTERM or SIGINT; returns the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    # Its advice is for those who write models, not for those who serve them.
    tf.get_logger().setLevel(logging.ERROR)
    try:
        server = DevelopmentServer(flags)
        server.start()
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
