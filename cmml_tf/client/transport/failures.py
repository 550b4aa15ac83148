"""What is done about a call that failed: tried again, explained, or left to the caller."""

import random
import time

import grpc

from cmml_tf.client.errors import ProxyError
from cmml_tf.client.transport.proxy import Proxy

_Code = grpc.StatusCode
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 1.0
# RESOURCE_EXHAUSTED also says that a message is too large, or that the memory for the work did not
# suffice: neither gets better by asking again.
_HOPELESS = ("larger than max", "oom when allocating")


class Backoff:
    """Pauses before further tries of calls that a server with no free thread did not take.

    gRPC's own retries take care of UNAVAILABLE. They end after five tries, while a server may be
    full for as long as its callers have patience: until the deadline.
    """

    def __init__(self, end: float, retries: bool):
        """Starts with the shortest pause.

        Args:
          end: Deadline on the clock of `time.monotonic`.
          retries: False: nothing is tried again.
        """
        self._end = end
        self._retries = retries
        self._pause = _FIRST_PAUSE_SECONDS

    def pause(self, error: grpc.RpcError) -> float | None:
        """Seconds to wait before the call is sent again; None: do not."""
        if not self._retries or error.code() is not _Code.RESOURCE_EXHAUSTED:
            return None
        details = (error.details() or "").lower()
        if any(words in details for words in _HOPELESS):
            return None
        # Callers refused together must not come back together.
        pause = self._pause * random.uniform(0.5, 1.0)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        return pause if time.monotonic() + pause < self._end else None


def explained(error: grpc.RpcError, proxy: Proxy | None) -> grpc.RpcError:
    """The same error, or one that names the proxy which the call did not get past."""
    if proxy is None or error.code() not in (_Code.UNAVAILABLE, _Code.DEADLINE_EXCEEDED):
        return error
    return ProxyError(error, proxy.sentence)


def may_become_ready(error: grpc.RpcError) -> bool:
    """Whether a failed status call is worth repeating."""
    return error.code() in (
        _Code.UNAVAILABLE,
        _Code.NOT_FOUND,
        _Code.DEADLINE_EXCEEDED,
        _Code.FAILED_PRECONDITION,
        _Code.RESOURCE_EXHAUSTED,
    )


def not_ready(model_name: str, seconds: float, last: str, proxy: Proxy | None) -> TimeoutError:
    """The error of `wait_until_ready`."""
    hint = "" if proxy is None else f" {proxy.sentence}"
    return TimeoutError(
        f"Model {model_name} is not ready after {seconds:g} s. Last answer: {last}.{hint}"
    )
