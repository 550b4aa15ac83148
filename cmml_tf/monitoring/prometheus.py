"""What a client sees, as Prometheus metrics."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from cmml_tf.client import ContextCache, EndedCall, InputError, Scores, StaleContextError
from cmml_tf.installation import require

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class PrometheusMetrics:
    """An observer of clients: `Client(..., observer=PrometheusMetrics())`.

    One may observe any number of clients, of any model; make it once in a process.

    - `cmml_client_calls_total{model,method,outcome}`: outcome is OK, a gRPC status such as
      DEADLINE_EXCEEDED, INVALID_ARGUMENT for what client or model refuse, STALE_CONTEXT, CANCELLED
      or ERROR.
    - `cmml_client_call_seconds{model,method}`: a histogram, further tries included.
    - `cmml_client_retries_total{model,method}`: calls that a full server (RESOURCE_EXHAUSTED) was
      sent again. What gRPC itself sends again (UNAVAILABLE) it does not tell.
    - `cmml_client_refused_tasks_total{model,method}`: tasks with `valid` false.
    - `cmml_client_pairs_total{model}`, `cmml_client_unknown_pairs_total{model,side}`: query pairs
      that were scored, and those whose user, whose item, the model does not know.
    - `cmml_client_score{model}`: a histogram of scores, where `score_edges` are given.
    - `cmml_client_context_cache_hits_total`, `..._misses_total`: of the cache, where it is given.

    Args:
      registry: Where they are registered; None: Prometheus' default one.
      context_cache: That of the clients.
      score_edges: Bounds of the histogram of scores, ascending, such as the manifest's
        `scores.quantiles`; empty: none is kept.

    Raises:
      ImportError: `prometheus_client` is not installed; says what to type.
    """

    def __init__(
        self,
        registry: Any = None,
        context_cache: ContextCache | None = None,
        score_edges: Sequence[float] = (),
    ) -> None:
        require("PrometheusMetrics", "prometheus_client", extra="monitoring")
        from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

        to: CollectorRegistry = REGISTRY if registry is None else registry
        call = ("model", "method")
        self._calls = Counter(
            "cmml_client_calls", "Calls that ended.", (*call, "outcome"), registry=to
        )
        self._seconds = Histogram(
            "cmml_client_call_seconds", "Of a call.", call, buckets=_SECONDS, registry=to
        )
        self._retries = Counter("cmml_client_retries", "Calls sent again.", call, registry=to)
        self._refused = Counter("cmml_client_refused_tasks", "Tasks not valid.", call, registry=to)
        self._pairs = Counter("cmml_client_pairs", "Pairs scored.", ("model",), registry=to)
        self._unknown = Counter(
            "cmml_client_unknown_pairs", "Pairs with an unknown id.", ("model", "side"), registry=to
        )
        self._scores = None
        if len(score_edges):
            edges = sorted({float(edge) for edge in score_edges})
            self._scores = Histogram(
                "cmml_client_score", "Of a pair.", ("model",), buckets=edges, registry=to
            )
        if context_cache is not None:
            to.register(_CacheCollector(context_cache))

    def tried_again(self, model: str, method: str) -> None:
        """Counts a further try."""
        self._retries.labels(model, method).inc()

    def ended(self, call: EndedCall) -> None:
        """Counts a call and what its answer says."""
        model, method, seconds, answer, error = call
        self._calls.labels(model, method, _outcome(error)).inc()
        self._seconds.labels(model, method).observe(seconds)
        if isinstance(error, InputError) and error.tasks:
            self._refused.labels(model, method).inc(len(error.tasks))
        if isinstance(answer, Scores):
            self._count(model, answer)

    def _count(self, model: str, answer: Scores) -> None:
        scores = _flat(answer.score)
        self._pairs.labels(model).inc(len(scores))
        for side, known in (("user", answer.user_known), ("item", answer.item_known)):
            if known is not None:
                self._unknown.labels(model, side).inc(int(np.sum(~_flat(known))))
        if self._scores is not None:
            histogram = self._scores.labels(model)
            for score in scores.tolist():
                histogram.observe(score)


class _CacheCollector:
    """Hits and misses that a cache has counted itself."""

    def __init__(self, cache: ContextCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Any]:
        """Both, as Prometheus asks for them."""
        from prometheus_client.core import CounterMetricFamily

        cache = self._cache
        for name, count in (("hits", cache.hits), ("misses", cache.misses)):
            yield CounterMetricFamily(
                f"cmml_client_context_cache_{name}", f"Contexts: {name}.", value=count
            )


def _flat(rows: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
    return np.asarray(rows) if isinstance(rows, np.ndarray) else np.concatenate([*rows])


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "OK"
    if isinstance(error, InputError):
        return "INVALID_ARGUMENT"
    if isinstance(error, StaleContextError):
        return "STALE_CONTEXT"
    if isinstance(error, GeneratorExit):
        return "CANCELLED"  # an awaited call whose task was cancelled
    code = getattr(error, "code", None)
    return code().name if callable(code) else "ERROR"
