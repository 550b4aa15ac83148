"""Which gRPC calls are answered: as many at a time as threads allow, and none that keeps silent."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

_HEALTH = "/grpc.health.v1.Health/"
_PATIENCE_SECONDS = 1.0
"""A call that has been silent for less keeps its place; the new one is refused then."""


class Admission(grpc.ServerInterceptor):
    """Refuses calls beyond a number with RESOURCE_EXHAUSTED, as TensorFlow Serving does.

    A call counts from its request on. Until then it is silent: Python's gRPC gives it a thread all
    the same, and whoever opens enough of them would lock everybody out. So unary calls are read as
    streams of one request, which can be ended from outside: where too many are silent, a new one
    takes the place of the one that has been silent longest, which is cancelled.

    Args:
      max_calls: Calls answered at a time; 0 refuses all.
      max_silent: Calls waited for at a time.
    """

    def __init__(self, max_calls: int, max_silent: int) -> None:
        self._free = threading.Semaphore(max_calls)
        self._max_silent = max_silent
        self._lock = threading.Lock()
        self._silent: OrderedDict[grpc.ServicerContext, float] = OrderedDict()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """The service's own handler behind the limits; streams are left as they are."""
        handler = continuation(handler_call_details)
        if handler is None or handler.request_streaming or handler.response_streaming:
            return handler
        counts = not handler_call_details.method.startswith(_HEALTH)

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            return self._answer(handler, requests, context, counts)

        return grpc.stream_unary_rpc_method_handler(
            answer, response_serializer=handler.response_serializer
        )

    def end_silent_calls(self) -> None:
        """Cancels every call whose request has not come."""
        with self._lock:
            silent = list(self._silent)
        for context in silent:
            context.cancel()

    def _answer(
        self,
        handler: grpc.RpcMethodHandler,
        requests: Iterator[bytes],
        context: grpc.ServicerContext,
        counts: bool,
    ) -> Any:
        serialized = self._read(requests, context)
        try:
            request = handler.request_deserializer(serialized)
        except DecodeError:
            # gRPC answers the same, and writes a traceback into the log for each such request.
            context.abort(grpc.StatusCode.INTERNAL, "The request is no message of this method.")
        if not counts:
            return handler.unary_unary(request, context)
        if not self._free.acquire(blocking=False):
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "All threads of the server are busy (--grpc_max_threads).",
            )
        try:
            return handler.unary_unary(request, context)
        finally:
            self._free.release()

    def _read(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        evicted = None
        with self._lock:
            if len(self._silent) >= self._max_silent:
                oldest, since = next(iter(self._silent.items()))
                if time.monotonic() - since >= _PATIENCE_SECONDS:
                    evicted = oldest
                    del self._silent[oldest]
            refused = len(self._silent) >= self._max_silent
            if not refused:
                self._silent[context] = time.monotonic()
        if evicted is not None:
            evicted.cancel()
        if refused:
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many calls are open without a request."
            )
        try:
            request = next(requests, None)
        finally:
            with self._lock:
                self._silent.pop(context, None)
        if request is None:
            # It raises, as every abort.
            return context.abort(grpc.StatusCode.UNIMPLEMENTED, "The call holds no request.")
        return request
