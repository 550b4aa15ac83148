"""No new requests while a server stops, said in a way that clients try again elsewhere."""

import threading
from collections.abc import Callable
from typing import Any

import grpc

_HEALTH = "/grpc.health.v1.Health/"


class RefuseWhileStopping(grpc.ServerInterceptor):
    """Answers UNAVAILABLE once `stopping` is set; health checks go on, and so does what has begun.

    gRPC's own stop cancels a request that comes in at that very moment, and clients do not repeat
    what was CANCELLED. With this in front of it requests are refused some time before.

    Args:
      stopping: Set when the server begins to stop.
    """

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._refusal = grpc.unary_unary_rpc_method_handler(_refuse)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """The service's own handler, or the refusal."""
        if self._stopping.is_set() and not handler_call_details.method.startswith(_HEALTH):
            return self._refusal
        return continuation(handler_call_details)


def _refuse(request: bytes, context: grpc.ServicerContext) -> Any:
    del request
    context.abort(grpc.StatusCode.UNAVAILABLE, "The server is stopping. Ask another one.")
