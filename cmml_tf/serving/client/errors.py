"""Errors of the client's own; failures of a call are raised as `grpc.RpcError`."""


class InputError(ValueError):
    """An argument that the served signature cannot take; the message names the input."""


class StaleContextError(RuntimeError):
    """The model version that encoded a context is no longer served: encode the support again."""
