"""Text-proto configuration files: models, batching, monitoring, TLS.

`ModelServerConfig` comes with tensorflow-serving-api. The other three messages do not, so their
fields are declared here, under the names and numbers of TensorFlow Serving, and the same files work
for both servers.
"""

import dataclasses
import os
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "tensorflow.serving"
_INT64 = ".google.protobuf.Int64Value"
_BOOL = ".google.protobuf.BoolValue"
_STRING = ".google.protobuf.StringValue"

# message -> field -> (number, type: a scalar type, or the name of a message, repeated)
_MESSAGES: dict[str, dict[str, tuple[int, int | str, bool]]] = {
    "BatchingParameters": {
        "max_batch_size": (1, _INT64, False),
        "batch_timeout_micros": (2, _INT64, False),
        "max_enqueued_batches": (3, _INT64, False),
        "num_batch_threads": (4, _INT64, False),
        "thread_pool_name": (5, _STRING, False),
        "allowed_batch_sizes": (6, _Field.TYPE_INT64, True),
        "pad_variable_length_inputs": (7, _Field.TYPE_BOOL, False),
        "enable_large_batch_splitting": (8, _BOOL, False),
        "max_execution_batch_size": (9, _INT64, False),
    },
    "PrometheusConfig": {
        "enable": (1, _Field.TYPE_BOOL, False),
        "path": (2, _Field.TYPE_STRING, False),
    },
    "MonitoringConfig": {
        "prometheus_config": (1, f".{_PACKAGE}.PrometheusConfig", False),
    },
    "SSLConfig": {
        "server_key": (1, _Field.TYPE_STRING, False),
        "server_cert": (2, _Field.TYPE_STRING, False),
        "custom_ca": (3, _Field.TYPE_STRING, False),
        "client_verify": (4, _Field.TYPE_BOOL, False),
    },
}


def _message_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="cmml_tf/serving_config.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    for message, fields in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for name, (number, kind, repeated) in fields.items():
            declared.field.add(
                name=name,
                number=number,
                label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
                **{"type": kind}
                if isinstance(kind, int)
                else {"type": _Field.TYPE_MESSAGE, "type_name": kind},
            )
    # A pool of its own: the names are TensorFlow Serving's, and another package may hold them.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _message_classes()


def _read(path: str, message: Any) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            return text_format.Parse(file.read(), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        kind = type(message).__name__
        raise ValueError(f"`{path}` must be a readable text proto of {kind}. {error}") from error


@dataclasses.dataclass(frozen=True)
class BatchingParameters:
    """How requests are merged; the defaults are TensorFlow Serving's, but for the wait of zero."""

    max_batch_size: int = 1000
    """Rows of a single request, refused beyond; and of a merged one, unless requests are split."""
    batch_timeout_micros: int = 0
    """How long an incomplete batch waits for more."""
    max_enqueued_batches: int = 10
    """Full batches that may wait; requests beyond are refused as UNAVAILABLE."""
    num_batch_threads: int = os.cpu_count() or 1
    """Batches run at a time."""
    allowed_batch_sizes: tuple[int, ...] = ()
    """Batches are filled up to one of these sizes; the last must be `max_batch_size`."""
    pad_variable_length_inputs: bool = False
    """Pad inputs of different length with their first element."""
    enable_large_batch_splitting: bool = False
    """A request of more than `max_execution_batch_size` rows is run in parts."""
    max_execution_batch_size: int | None = None
    """Rows of a merged request where requests are split; None: `max_batch_size`."""

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be a positive integer. Received: {name}={getattr(self, name)}."
                )
        if self.batch_timeout_micros < 0:
            raise ValueError(
                "`batch_timeout_micros` must not be negative. "
                f"Received: batch_timeout_micros={self.batch_timeout_micros}."
            )
        given = self.max_execution_batch_size
        if (
            self.enable_large_batch_splitting
            and not 1 <= self.execution_size <= self.max_batch_size
        ):
            raise ValueError(
                "`max_execution_batch_size` must be from 1 to max_batch_size "
                f"({self.max_batch_size}). Received: max_execution_batch_size={given}."
            )
        sizes = self.allowed_batch_sizes
        if sizes and (list(sizes) != sorted(set(sizes)) or sizes[-1] != self.max_batch_size):
            raise ValueError(
                "`allowed_batch_sizes` must increase and end with max_batch_size "
                f"({self.max_batch_size}). Received: allowed_batch_sizes={list(sizes)}."
            )

    @property
    def execution_size(self) -> int:
        """Rows of a call of the model, at most."""
        if not self.enable_large_batch_splitting or self.max_execution_batch_size is None:
            return self.max_batch_size
        return self.max_execution_batch_size


def read_batching_parameters(path: str) -> BatchingParameters:
    """Reads `--batching_parameters_file`; fields left out keep their defaults.

    Raises:
      ValueError: The file cannot be read or a field is out of range; names the file or field.
    """
    message = _read(path, _CLASSES["BatchingParameters"]())
    given = {
        name: getattr(message, name).value
        for name in (
            "max_batch_size",
            "batch_timeout_micros",
            "max_enqueued_batches",
            "num_batch_threads",
            "enable_large_batch_splitting",
            "max_execution_batch_size",
        )
        if message.HasField(name)
    }
    return BatchingParameters(
        **given,
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
    )


def read_prometheus_path(path: str) -> str | None:
    """The REST path of the metrics in `--monitoring_config_file`; None when turned off.

    Raises:
      ValueError: The file cannot be read.
    """
    config = _read(path, _CLASSES["MonitoringConfig"]()).prometheus_config
    if not config.enable:
        return None
    return config.path or "/monitoring/prometheus/metrics"


def read_ssl_config(path: str) -> Any:
    """`--ssl_config_file`: server_key, server_cert, custom_ca (PEM texts) and client_verify.

    Raises:
      ValueError: The file cannot be read, or key or certificate is missing.
    """
    config = _read(path, _CLASSES["SSLConfig"]())
    if not (config.server_key and config.server_cert):
        raise ValueError(f"`{path}` must hold server_key and server_cert as PEM texts.")
    return config


def read_model_config(path: str) -> model_server_config_pb2.ModelServerConfig:
    """`--model_config_file`.

    Raises:
      ValueError: The file cannot be read or lists no models.
    """
    config = _read(path, model_server_config_pb2.ModelServerConfig())
    if config.WhichOneof("config") != "model_config_list":
        raise ValueError(f"`{path}` must hold a model_config_list.")
    return config


def single_model_config(name: str, base_path: str) -> model_server_config_pb2.ModelServerConfig:
    """The configuration that `--model_name` and `--model_base_path` stand for."""
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(name=name, base_path=base_path, model_platform="tensorflow")
    return config
