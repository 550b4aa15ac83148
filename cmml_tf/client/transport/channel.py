"""Channels: options, retries, TLS."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from cmml_tf.client.transport.proxy import Proxy, proxy_of
from cmml_tf.client.wire import METHODS

ChannelOptions = Sequence[tuple[str, Any]]


def service_config(max_attempts: int) -> str:
    """gRPC's own retries: only UNAVAILABLE, which says that the server did not take the request.

    RESOURCE_EXHAUSTED, which may last longer than five tries, is `failures.Backoff`'s.

    Raises:
      ValueError: `max_attempts` is not between 1 and 5, the most gRPC allows.
    """
    if not 1 <= max_attempts <= 5:
        raise ValueError(
            f"`max_attempts` must be between 1 and 5. Received: max_attempts={max_attempts}."
        )
    methods: dict[str, Any] = {
        "name": [
            {"service": "tensorflow.serving.PredictionService"},
            {"service": "tensorflow.serving.ModelService"},
        ]
    }
    if max_attempts > 1:
        methods["retryPolicy"] = {
            "maxAttempts": max_attempts,
            "initialBackoff": "0.05s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
    return json.dumps({"methodConfig": [methods]})


def channel_options(max_attempts: int, options: ChannelOptions) -> list[tuple[str, Any]]:
    """The client's options; the caller's come last and win."""
    return list(
        {
            "grpc.service_config": service_config(max_attempts),
            "grpc.enable_retries": int(max_attempts > 1),
            # A restarted server is found again within a second, not after two minutes.
            "grpc.initial_reconnect_backoff_ms": 100,
            "grpc.max_reconnect_backoff_ms": 1000,
            "grpc.max_receive_message_length": -1,
            "grpc.max_send_message_length": -1,
            **dict(options),
        }.items()
    )


class ChannelSettings:
    """How a server is reached; checked at once, opened when it is needed."""

    def __init__(
        self,
        target: str,
        credentials: grpc.ChannelCredentials | None,
        max_attempts: int,
        options: ChannelOptions,
    ):
        """Settings of channels to `host:port` (or any gRPC target); with `credentials` over TLS.

        Raises:
          ValueError: `max_attempts` is out of range.
        """
        self._target = target
        self._credentials = credentials
        self._options = channel_options(max_attempts, options)
        self.retries = max_attempts > 1

    def open(self, module: Any) -> Any:
        """A channel of `grpc` or of `grpc.aio`; the latter belongs to the running event loop."""
        if self._credentials is None:
            return module.insecure_channel(self._target, options=self._options)
        return module.secure_channel(self._target, self._credentials, options=self._options)

    def proxy(self) -> Proxy | None:
        """The HTTP proxy that calls go through, as the environment and the options say."""
        return proxy_of(self._target, self._options)


def stubs(channel: Any) -> dict[str, Callable[..., Any]]:
    """The methods that plans call, by name."""
    return {
        name: channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        for name, method in METHODS.items()
    }
