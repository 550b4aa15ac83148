"""What both clients are made of: how a model is reached, and what follows a call that failed."""

import logging
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import grpc

from cmml_tf.client.context_cache import ContextCache
from cmml_tf.client.plans import Plan, Plans, is_ready
from cmml_tf.client.transport.channel import ChannelOptions, ChannelSettings
from cmml_tf.client.transport.failures import Backoff, explained, may_become_ready, not_ready

_Result = TypeVar("_Result")
_PAUSE_SECONDS = 0.1
_log = logging.getLogger(__name__)


class Attempt(NamedTuple):
    """A request as it is sent once.

    Attributes:
      method: Of the stub.
      request: The message.
      options: `timeout` in seconds, and what else gRPC is told.
    """

    method: str
    request: Any
    options: dict[str, Any]


class EndedCall(NamedTuple):
    """A call of a client's method that has returned or raised.

    Attributes:
      model: Name the model is served under.
      method: `score`, `recommend`, ...
      seconds: From call to end, pauses included.
      answer: What the caller gets, such as `Scores`.
      error: What the caller gets instead; of a cancelled call `GeneratorExit`.
    """

    model: str
    method: str
    seconds: float
    answer: Any = None
    error: BaseException | None = None


class Observer(Protocol):
    """Is told what becomes of calls, in the thread or loop of each; it must be quick.

    What it raises is logged and changes nothing for the caller.
    `cmml_tf.monitoring.prometheus.PrometheusMetrics` is one.
    """

    def tried_again(self, model: str, method: str) -> None:
        """A call is about to be sent again, because the server was full."""

    def ended(self, call: EndedCall) -> None:
        """A method has returned or raised."""


Steps = Generator[Attempt | float, Any, _Result]
"""Attempts, and seconds to pause between them; is sent the responses or thrown their errors."""


class BaseClient:
    """A client without a network: its settings, and the steps of every call."""

    def __init__(
        self,
        target: str,
        model_name: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 5.0,
        context_cache: ContextCache | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        max_attempts: int = 4,
        channel_options: ChannelOptions = (),
        observer: Observer | None = None,
    ):
        """Makes ready to call; connects at the first call.

        Args:
          target: `host:port` of the server's gRPC port.
          model_name: Name the model is served under.
          version: Ask this version only.
          label: Ask the version that has this label.
          timeout: Seconds a method may take unless it is told otherwise.
          context_cache: Keep contexts, so that `score` for a known support skips the encoder.
          credentials: TLS, from `grpc.ssl_channel_credentials`.
          metadata: Headers of every call.
          max_attempts: Tries of a call that did not reach the server (UNAVAILABLE), 1 to 5. A
            server that has no free thread (RESOURCE_EXHAUSTED) is asked again until the deadline,
            with growing pauses, unless this is 1.
          channel_options: Further gRPC channel options.
          observer: Is told what becomes of every call.

        Raises:
          ValueError: Both `version` and `label`, or `max_attempts` out of range.
        """
        self._model_name = model_name
        self._plans = Plans(model_name, version, label, context_cache)
        self._timeout = timeout
        self._metadata = tuple(metadata)
        self._observer = observer
        self._settings = ChannelSettings(target, credentials, max_attempts, channel_options)
        self._open()

    def _open(self) -> None:
        raise NotImplementedError

    def _steps(self, plan: Plan[_Result], timeout: float | None) -> Steps[_Result]:
        """A plan with its calls sent until they are answered, and the observer told of its end."""
        if self._observer is None:
            return (yield from self._sent(plan, timeout))
        tell, began = self._observer.ended, time.monotonic()
        call = EndedCall(self._model_name, _name(plan), 0.0)
        try:
            answer = yield from self._sent(plan, timeout)
        except BaseException as error:
            _told(tell, call._replace(seconds=time.monotonic() - began, error=error))
            raise
        _told(tell, call._replace(seconds=time.monotonic() - began, answer=answer))
        return answer

    def _sent(self, plan: Plan[_Result], timeout: float | None) -> Steps[_Result]:
        """A plan with its calls sent until they are answered, within the deadline."""
        end = time.monotonic() + (self._timeout if timeout is None else timeout)
        backoff = Backoff(end, self._settings.retries)
        try:
            call = next(plan)
            while True:
                left = max(0.0, end - time.monotonic())
                try:
                    response = yield Attempt(call.method, call.request, {"timeout": left})
                except grpc.RpcError as error:
                    pause = backoff.pause(error)
                    if pause is None:
                        call = plan.throw(explained(error, self._settings.proxy()))
                    else:
                        if self._observer is not None:
                            _told(self._observer.tried_again, self._model_name, _name(plan))
                        yield pause
                else:
                    call = plan.send(response)
        except StopIteration as stop:
            return stop.value

    def _until_ready(self, timeout: float) -> Steps[None]:
        end, last = time.monotonic() + timeout, "none"
        call = self._plans.status()
        while (left := end - time.monotonic()) > 0:
            options = {"timeout": left, "wait_for_ready": True}
            try:
                response = yield Attempt(call.method, call.request, options)
            except grpc.RpcError as error:
                if not may_become_ready(error):
                    raise
                last = f"{error.code().name}: {error.details()}"
            else:
                if is_ready(response):
                    return
                last = str(response)
            yield _PAUSE_SECONDS
        raise not_ready(self._model_name, timeout, last, self._settings.proxy())


def _told(tell: Callable[..., None], *what: Any) -> None:
    """Tells an observer, whose failure is not the call's."""
    try:
        tell(*what)
    except Exception:  # noqa: BLE001 - it may be anybody's code
        _log.exception("an observer of calls failed; the call goes on")


def _name(plan: Plan[Any]) -> str:
    """The method that a plan is of: a generator has its function's name."""
    return str(getattr(plan, "__name__", ""))
