"""Channels: options, retries, TLS."""

import json
from collections.abc import Sequence
from typing import Any

import grpc

ChannelOptions = Sequence[tuple[str, Any]]


def service_config(max_attempts: int) -> str:
    """gRPC's own retries: only UNAVAILABLE, which says that the server did not take the request.

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


def open_channel(
    target: str,
    credentials: grpc.ChannelCredentials | None,
    max_attempts: int,
    options: ChannelOptions,
    *,
    asynchronous: bool = False,
) -> Any:
    """A channel to `host:port` (or any gRPC target); with `credentials` over TLS."""
    module = grpc.aio if asynchronous else grpc
    arguments = channel_options(max_attempts, options)
    if credentials is None:
        return module.insecure_channel(target, options=arguments)
    return module.secure_channel(target, credentials, options=arguments)
