"""Errors of the client's own; other failures of a call are raised as `grpc.RpcError`."""

from collections.abc import Sequence
from typing import Any

import grpc


class InputError(ValueError):
    """An argument that the served signature cannot take; the message names the input.

    Attributes:
      tasks: Positions, from 0, of the tasks that the model refused while it answered the others;
        empty where the call as a whole was refused.
    """

    def __init__(self, message: str, tasks: Sequence[int] = ()):
        super().__init__(message)
        self.tasks = tuple(tasks)


class StaleContextError(RuntimeError):
    """The model version that encoded a context is no longer served: encode the support again."""


class ProxyError(grpc.RpcError):
    """A call that failed on its way through an HTTP proxy; the message names the proxy.

    It has the methods of the failed call's own error, which is its `__cause__`.
    """

    def __init__(self, error: grpc.RpcError, sentence: str):
        super().__init__(f"{error.code().name}: {sentence} The call's own words: {error.details()}")
        self._error = error
        self._details = f"{sentence} {error.details()}"
        self.__cause__ = error

    def code(self) -> grpc.StatusCode:
        """UNAVAILABLE or DEADLINE_EXCEEDED."""
        return self._error.code()

    def details(self) -> str:
        """The sentence about the proxy, then what gRPC says."""
        return self._details

    def initial_metadata(self) -> Any:
        """Headers that came before the failure."""
        return self._error.initial_metadata()

    def trailing_metadata(self) -> Any:
        """Headers that came with the failure."""
        return self._error.trailing_metadata()
