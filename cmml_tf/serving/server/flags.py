"""Command-line flags, named and defaulted as those of `tensorflow_model_server`.

Flags of the real server that change nothing here (GPU memory, TensorFlow Lite and the like) are
refused rather than swallowed.
"""

import argparse
import dataclasses
import os
from collections.abc import Sequence
from typing import Any

ENGINES = ("auto", "python", "tensorflow_model_server")
MAX_MESSAGE_BYTES = 2**31 - 1
"""What gRPC takes at most, and takes unless told otherwise."""
LOCAL_HOST = "127.0.0.1"
_PORTS = 2**16  # gRPC takes larger numbers, and listens elsewhere then
OWN_FLAGS = {"engine": 1, "host": 1, "allow_reload": 0}
"""Flags that `tensorflow_model_server` does not know, and how many words may follow each."""


def _flag(default: Any, description: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": description})


@dataclasses.dataclass(frozen=True)
class ServerFlags:
    """Every flag; the descriptions are the command's help."""

    engine: str = _flag("auto", "auto, python or tensorflow_model_server: which server to run.")
    host: str = _flag(
        LOCAL_HOST,
        "Address that gRPC and REST listen on; 0.0.0.0 for all (as tensorflow_model_server does).",
    )
    allow_reload: bool = _flag(
        False, "Take HandleReloadConfigRequest from other machines as well, not from this one only."
    )
    port: int = _flag(8500, "TCP port of gRPC; 0 turns it off (then --grpc_socket_path).")
    grpc_socket_path: str = _flag("", "UNIX socket gRPC listens on as well.")
    rest_api_port: int = _flag(0, "TCP port of REST; 0 turns it off.")
    rest_api_num_threads: int = _flag(
        4 * (os.cpu_count() or 1), "REST requests worked on at a time; the others wait."
    )
    rest_api_timeout_in_ms: int = _flag(30_000, "Deadline of a REST request, milliseconds.")
    model_name: str = _flag("default", "Name of the model (without --model_config_file).")
    model_base_path: str = _flag("", "Folder of numbered version folders.")
    model_config_file: str = _flag("", "ModelServerConfig as text proto: several models, labels.")
    model_config_file_poll_wait_seconds: int = _flag(
        0, "Seconds between readings of --model_config_file; 0 reads it once."
    )
    file_system_poll_wait_seconds: int = _flag(
        1, "Seconds between looks for versions; 0 looks once, -1 never."
    )
    allow_version_labels_for_unavailable_models: bool = _flag(
        False,
        "Accept new labels of versions that are not loaded (needed for labels at start); one that "
        "is in use still moves to a loaded version only.",
    )
    enable_batching: bool = _flag(False, "Merge concurrent requests along axis 0.")
    batching_parameters_file: str = _flag("", "BatchingParameters as text proto.")
    monitoring_config_file: str = _flag("", "MonitoringConfig as text proto (Prometheus path).")
    ssl_config_file: str = _flag("", "SSLConfig as text proto: TLS for gRPC and REST.")
    grpc_channel_arguments: str = _flag("", "Comma-separated key=value pairs for gRPC.")
    grpc_max_threads: int = _flag(
        4 * (os.cpu_count() or 1),
        "Threads of gRPC. One of them listens: as many calls less one are answered at a time, and "
        "those beyond are refused with RESOURCE_EXHAUSTED.",
    )
    enable_grpc_healthcheck_service: bool = _flag(False, "Serve grpc.health.v1.Health.")
    enable_model_warmup: bool = _flag(
        True, "Replay assets.extra/tf_serving_warmup_requests before a version is available."
    )
    num_request_iterations_for_warmup: int = _flag(1, "How often each warm-up request is replayed.")
    max_num_load_retries: int = _flag(5, "Further tries to load a version that failed.")
    load_retry_interval_micros: int = _flag(60_000_000, "Pause between those tries.")
    enable_serialization_as_tensor_content: bool = _flag(
        False, "Answer with tensor_content instead of float_val and the like."
    )
    enable_signature_method_name_check: bool = _flag(
        False, "Regress and Classify demand the signature's own method name (TF 1 exports)."
    )
    xla_cpu_compilation_enabled: bool = _flag(
        False, "Load versions that XLA compiles for some sizes of requests (cmml export --compile)."
    )
    saved_model_tags: str = _flag("serve", "Comma-separated tags of the graph to load.")
    tensorflow_session_parallelism: int = _flag(0, "Sets both thread counts below; 0: automatic.")
    tensorflow_intra_op_parallelism: int = _flag(
        0, "Threads that share one operation; 0: one, the request's own."
    )
    tensorflow_inter_op_parallelism: int = _flag(
        0, "Operations of a request run at a time; 0: one, in the request's own thread."
    )

    @property
    def channel_arguments(self) -> list[tuple[str, int | str]]:
        """`--grpc_channel_arguments` parsed; numbers become integers."""
        pairs = []
        for pair in filter(None, self.grpc_channel_arguments.split(",")):
            key, _, value = pair.partition("=")
            pairs.append((key, int(value) if value.lstrip("-").isdigit() else value))
        return pairs

    @property
    def max_message_bytes(self) -> int:
        """Largest request taken, gRPC and REST: `grpc.max_receive_message_length`, else 2 GiB."""
        given = dict(self.channel_arguments).get("grpc.max_receive_message_length")
        return int(given) if given is not None and int(given) > 0 else MAX_MESSAGE_BYTES


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"must be true or false. Received: {text}")
    return text.lower() in ("true", "1")


def parse_flags(arguments: Sequence[str]) -> ServerFlags:
    """Reads a command line; booleans may stand alone (`--enable_batching`) or with `=true`.

    Raises:
      SystemExit: An unknown flag, a value of the wrong type, or flags that exclude each other; the
        sentence is on stderr.
    """
    parser = argparse.ArgumentParser(
        prog="python -m cmml_tf.serving.server",
        description="TensorFlow Serving for development and tests, with its flags.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for field in dataclasses.fields(ServerFlags):
        options: dict[str, Any] = {"default": field.default, "help": field.metadata["help"]}
        if field.type is bool:
            options.update(type=_boolean, nargs="?", const=True)
        else:
            options["type"] = field.type
        if field.name == "engine":
            options["choices"] = ENGINES
        parser.add_argument(f"--{field.name}", **options)
    flags = ServerFlags(**vars(parser.parse_args(arguments)))
    if bool(flags.model_base_path) == bool(flags.model_config_file):
        parser.error("give one of --model_base_path and --model_config_file.")
    if flags.batching_parameters_file and not flags.enable_batching:
        parser.error("--batching_parameters_file needs --enable_batching.")
    if not (flags.port or flags.grpc_socket_path):
        parser.error("gRPC has nothing to listen on: give one of --port and --grpc_socket_path.")
    for name in ("port", "rest_api_port"):
        port = getattr(flags, name)
        if not 0 <= port < _PORTS:
            parser.error(f"--{name} must be a port, 0 to {_PORTS - 1}. Received: --{name}={port}.")
    if flags.grpc_max_threads < 1:
        parser.error(
            "--grpc_max_threads must be positive. "
            f"Received: --grpc_max_threads={flags.grpc_max_threads}."
        )
    if flags.tensorflow_session_parallelism and (
        flags.tensorflow_intra_op_parallelism and flags.tensorflow_inter_op_parallelism
    ):
        parser.error(
            "give either --tensorflow_session_parallelism or --tensorflow_intra_op_parallelism "
            "and --tensorflow_inter_op_parallelism."
        )
    if flags.rest_api_port and flags.rest_api_port == flags.port:
        parser.error(f"--port and --rest_api_port must differ. Received: both {flags.port}.")
    return flags
