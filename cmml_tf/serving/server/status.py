"""The error every part of the server raises, and how it reads over gRPC and HTTP."""

import grpc

Code = grpc.StatusCode

_BY_NUMBER = {code.value[0]: code for code in Code}

HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.UNAUTHENTICATED: 401,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
}


class ServingError(Exception):
    """A request, or a model version, that failed: a canonical code and a sentence."""

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(message: str) -> ServingError:
    """The request is wrong whatever the state of the server."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """No such model or version."""
    return ServingError(Code.NOT_FOUND, message)


def failed_precondition(message: str) -> ServingError:
    """The request does not fit the model or configuration as it is now."""
    return ServingError(Code.FAILED_PRECONDITION, message)


def code_of_number(number: int) -> grpc.StatusCode:
    """The canonical code with this number (TensorFlow and gRPC share them)."""
    return _BY_NUMBER.get(number, Code.UNKNOWN)
